// Tokens that the device chooses: see run_ahead() in engine.h.
#include "core/engine/engine.h"

#include "core/graph/builder.h"

#include <algorithm>

namespace realizar {
namespace {

constexpr const char *kInputDraws = "draws";
constexpr const char *kOutputChosen = "chosen";

// Sizes of TOP_K that are compiled: what is usual, and the most that SAMPLE takes.
constexpr uint32_t kUsualCandidates = 64, kMostCandidates = 1024;
constexpr size_t kDrawBytes = sizeof(TokenDraw);
static_assert(kDrawBytes == 5 * sizeof(float), "a row of SAMPLE's draws");

// The graph of a step with the choice of a token behind it.
Result<Graph> with_choice(const Graph &step, TensorId logits, uint32_t candidates) {
    GraphBuilder builder(Graph::copy(step.view()));
    TensorId chosen = kNoTensor;
    if (candidates == 1) {
        chosen = builder.argmax(logits);
    } else {
        const auto best = builder.top_k(logits, candidates);
        const int64_t rows = builder.shape(logits).dims[0];
        const TensorId draws =
            builder.input(kInputDraws, DType::F32, {rows, kDrawBytes / sizeof(float)});
        chosen = builder.sample(best.values, best.indices, draws);
    }
    builder.output(chosen, kOutputChosen);
    return std::move(builder).build();
}

} // namespace

uint32_t Engine::most_ahead() const {
    return model_->recurrent() ? 1 : std::min(batch_, runner_->most_repeats());
}

uint32_t Engine::candidates_for(const Sampler &sampler) {
    const SamplerParams &params = sampler.params();
    if (!sampler.plain() || observer_) return 0;
    uint32_t candidates = 1;
    if (params.temperature > 0) {
        if (params.top_k < 1 || params.top_k > static_cast<int32_t>(kMostCandidates)) return 0;
        const auto wanted = static_cast<uint32_t>(params.top_k);
        candidates = std::min(wanted > kUsualCandidates ? kMostCandidates : kUsualCandidates,
                              config().vocabulary);
    }
    if (!choices_.contains(candidates)) {
        auto choice = make_choice(candidates);
        // Whatever stands against it, the host can choose.
        choices_.emplace(candidates, choice.ok() ? std::optional(*choice) : std::nullopt);
    }
    return choices_.at(candidates) ? candidates : 0;
}

Result<Engine::Choice> Engine::make_choice(uint32_t candidates) {
    RZ_ASSIGN(Graph graph, with_choice(runner_->graph(0), ids_.logits, candidates));
    Choice choice{0, graph.find(kInputDraws), graph.find(kOutputChosen)};
    RZ_ASSIGN(choice.variant, runner_->extend(std::move(graph)));
    return choice;
}

Status Engine::run_ahead(uint32_t sequence, Token token, uint32_t candidates,
                         std::span<const TokenDraw> draws, std::span<Token> chosen) {
    const auto choice = choices_.find(candidates);
    if (choice == choices_.end() || !choice->second || draws.empty() ||
        draws.size() > most_ahead() || chosen.size() != draws.size() ||
        sequence >= pages_.lengths().size())
        return make_error(Code::invalid_argument, "bad_batch",
                          "expected candidates_for(), 1 to %u draws and room for as many tokens, "
                          "found %u, %zu and %zu",
                          most_ahead(), candidates, draws.size(), chosen.size());
    ahead_rows_.clear();
    const uint32_t length = pages_.length(sequence);
    for (uint32_t i = 0; i < draws.size(); ++i) // those behind the first are not known yet
        ahead_rows_.push_back({i == 0 ? token : 0, length + i, sequence, false});
    RZ_TRY(check(ahead_rows_, 0));
    lengths_before_.assign(pages_.lengths().begin(), pages_.lengths().end());
    RZ_TRY(make_room(ahead_rows_));
    auto status = step_ahead(*choice->second, draws, chosen);
    if (status.ok()) {
        for (size_t i = 1; i < ahead_rows_.size(); ++i)
            ahead_rows_[i].token = chosen[i - 1];
        remember(ahead_rows_);
        return status;
    }
    give_back(ahead_rows_);
    if (status.error().code == Code::device_lost) RZ_TRY(recover());
    return status;
}

Status Engine::step_ahead(const Choice &choice, std::span<const TokenDraw> draws,
                          std::span<Token> chosen) {
    Inputs &in = inputs_;
    list_rows(ahead_rows_);
    // Each time one row, which alone is longer than it was.
    const size_t sequences = pages_.lengths().size(), sequence = ahead_rows_[0].sequence;
    in.logit_rows.assign(1, 0);
    in.lengths.clear();
    for (const BatchRow &row : ahead_rows_) {
        in.lengths.insert(in.lengths.end(), pages_.lengths().begin(), pages_.lengths().end());
        in.lengths[in.lengths.size() - sequences + sequence] =
            static_cast<int32_t>(row.position + 1);
    }
    in.updates.clear();
    in.reads.clear();
    for (uint32_t i = 0; i < draws.size(); ++i) {
        const auto give = [&](TensorId tensor, std::span<const int32_t> values) {
            if (tensor != kNoTensor) in.updates.push_back({tensor, std::as_bytes(values), i});
        };
        const auto one = [&](const std::vector<int32_t> &values) {
            return values.empty() ? std::span<const int32_t>() : std::span(values).subspan(i, 1);
        };
        if (i == 0) give(ids_.tokens, one(in.tokens));
        give(ids_.positions, one(in.positions));
        give(ids_.rope_positions, one(in.rope_positions));
        give(ids_.sequences, one(in.sequences));
        give(ids_.cells, one(in.cells));
        give(ids_.pages, pages_.table());
        give(ids_.lengths, std::span(in.lengths).subspan(i * sequences, sequences));
        give(ids_.logit_rows, in.logit_rows);
        if (window_pages_) {
            give(ids_.window_cells, one(in.window_cells));
            give(ids_.window_pages, window_pages_->table());
        }
        if (choice.draws != kNoTensor)
            in.updates.push_back({choice.draws, std::as_bytes(draws.subspan(i, 1)), i});
        in.reads.push_back({choice.chosen, std::as_writable_bytes(chosen.subspan(i, 1)), i});
    }
    const int64_t symbols[kStepSymbols] = {1, 1, *std::ranges::max_element(pages_.lengths())};
    return runner_->step(choice.variant, symbols, in.updates, in.reads,
                         {static_cast<uint32_t>(draws.size()), choice.chosen, ids_.tokens});
}

} // namespace realizar
