#include "core/engine/engine.h"

#include "core/engine/engine_plan.h"
#include "core/quant/codec.h"

#include <algorithm>
#include <cinttypes>
#include <limits>

namespace realizar {
namespace {

constexpr uint32_t kDefaultContext = 4096; // when neither user nor model asks for less
constexpr uint32_t kMaxContext = 1u << 24;

Status check_tensors(const GgufFile &file) {
    for (const GgufTensor &tensor : file.tensors())
        if (const auto block = find_non_finite(tensor.dtype, tensor.data))
            return make_error(
                Code::malformed, "not_finite",
                "tensor '%s' (%s): expected finite weights, found NaN or Inf in block "
                "%" PRIu64,
                printable(tensor.name).c_str(), dtype_info(tensor.dtype).name, *block);
    return {};
}

Status check_options(const EngineOptions &options) {
    const auto bad = [](const char *what, const char *expected, unsigned found) {
        return make_error(Code::invalid_argument, "bad_option", "%s: expected %s, found %u", what,
                          expected, found);
    };
    if (options.devices.empty())
        return make_error(Code::invalid_argument, "no_device", "expected at least one device");
    if (options.sequences < 1 || options.sequences > 1024)
        return bad("sequences", "1 to 1024", options.sequences);
    if (options.batch < 1 || options.batch > 65536)
        return bad("batch", "1 to 65536", options.batch);
    if (options.logit_rows < 1 || options.logit_rows > options.batch)
        return bad("rows with logits", "1 to the batch size", options.logit_rows);
    if (options.context > kMaxContext) return bad("context", "at most 16777216", options.context);
    return {};
}

// The graphs of a step: one for single tokens (one per sequence), one for prompt batches.
Result<std::vector<Graph>> build_variants(const ModelFile &model, const StepShape &largest) {
    std::vector<Graph> variants;
    StepShape decode = largest;
    decode.max_tokens = std::min(largest.sequences, largest.max_tokens);
    decode.max_logits = std::min(largest.max_logits, decode.max_tokens);
    for (const StepShape &shape : {decode, largest}) {
        RZ_ASSIGN(Graph graph, model.build(shape));
        variants.push_back(std::move(graph));
        if (decode.max_tokens == largest.max_tokens) break;
    }
    return variants;
}

// Pages that a sequence needs in layers with a sliding window: what the oldest row of a batch sees, the
// batch, and a page by which a sequence can be cut back. 0: no layer has one, or it would save nothing.
uint32_t window_pages(const ModelConfig &config, const StepShape &shape, uint32_t sinks) {
    const uint64_t window = config.widest_window();
    if (window == 0) return 0;
    // Sinks leave a window for good before the first slide, or stay in one.
    const uint64_t kept = (uint64_t{sinks} + shape.page_size - 1) / shape.page_size + 2;
    if (sinks > 0 && window + kept * shape.page_size > uint64_t{shape.pages} * shape.page_size)
        return 0;
    const uint64_t positions = window + shape.max_tokens + shape.page_size;
    const uint64_t pages = (positions + shape.page_size - 1) / shape.page_size + 1;
    return pages < shape.pages ? static_cast<uint32_t>(pages) : 0;
}

// A streaming sequence has its sinks, the page that goes and one that stays.
Status check_stream(const ModelFile &model, const EngineOptions &options, uint32_t context,
                    uint32_t page) {
    if (options.sinks == 0) return {};
    if (model.gguf().find_tensor("position_embd.weight"))
        return make_error(Code::unsupported, "cannot_stream",
                          "architecture '%s': expected positions that only count between tokens, "
                          "found learned ones, which cannot stream",
                          model.config().architecture.c_str());
    const uint64_t least = (uint64_t{options.sinks} + page - 1) / page * page + uint64_t{2} * page;
    if (context < least)
        return make_error(Code::invalid_argument, "bad_option",
                          "context: expected at least %" PRIu64
                          " positions to stream with the first %u kept, found %u",
                          least, options.sinks, context);
    return {};
}

Result<StepShape> step_shape(const ModelFile &model, const EngineOptions &options, uint32_t context,
                             uint32_t page) {
    if (context > model.most_positions())
        return make_error(Code::invalid_argument, "bad_option",
                          "context: expected at most the %u positions that the model has learned, "
                          "found %u",
                          model.most_positions(), context);
    RZ_TRY(check_stream(model, options, context, page));
    // Cells are numbered by I32 inputs.
    const uint64_t cells = (uint64_t{context} + page) * options.sequences;
    if (cells > std::numeric_limits<int32_t>::max())
        return make_error(Code::invalid_argument, "bad_option",
                          "context x sequences: expected less than 2^31 positions, found %u x %u",
                          context, options.sequences);
    StepShape shape;
    shape.max_tokens = options.batch;
    shape.max_logits = std::max(options.logit_rows, std::min(options.sequences, options.batch));
    shape.sequences = options.sequences;
    shape.page_size = page;
    shape.pages = (context + page - 1) / page;
    shape.cells = shape.pages * page * options.sequences;
    shape.key_type = options.key_type;
    shape.value_type = options.value_type;
    shape.streams = options.sinks > 0;
    shape.window_cells =
        window_pages(model.config(), shape, options.sinks) * page * options.sequences;
    return shape;
}

Result<std::shared_ptr<const Tokenizer>> open_tokenizer(const GgufFile &file,
                                                        const ModelFile &model) {
    RZ_ASSIGN(Vocabulary vocabulary, vocabulary_from_gguf(file));
    if (vocabulary.tokens.size() != model.config().vocabulary)
        return make_error(Code::malformed, "shape_mismatch",
                          "tensor 'token_embd.weight': expected %zu rows, one per token, found %u",
                          vocabulary.tokens.size(), model.config().vocabulary);
    RZ_ASSIGN(auto tokenizer, Tokenizer::create(std::move(vocabulary)));
    return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

// All but where the parts go.
RunnerOptions runner_options(const EngineOptions &options, std::shared_ptr<const GgufFile> file,
                             std::shared_ptr<const ModelFile> model) {
    RunnerOptions run;
    run.devices = options.devices;
    run.require_first = options.require_first;
    run.progress = options.progress;
    run.memory = options.placement.memory;
    run.weights = [file, model = std::move(model)](uint64_t key) -> Result<WeightBytes> {
        // A file that was cut since it was mapped would end the process where it is read.
        RZ_TRY(file->verify_unchanged());
        const ModelWeight weight = model->weight(key);
        return WeightBytes{weight.parts, weight.dtype};
    };
    run.release = [file](std::span<const std::byte> bytes) { file->drop_pages(bytes); };
    return run;
}

template <class T>
std::span<const std::byte> bytes_of(const T &values) {
    return std::as_bytes(std::span(values));
}

} // namespace

Result<std::shared_ptr<Engine>> Engine::load(std::shared_ptr<const GgufFile> file,
                                             const EngineOptions &options) {
    return build(std::move(file), options, nullptr);
}

Result<ModelPlan> Engine::plan(std::shared_ptr<const GgufFile> file, const EngineOptions &options) {
    ModelPlan plan;
    plan.devices = options.devices;
    RZ_TRY(build(std::move(file), options, &plan));
    return plan;
}

Engine::Engine(const EngineOptions &options, const StepShape &shape, uint32_t context)
    : observer_(options.observer),
      pages_(options.sequences, shape.pages * options.sequences, shape.pages, kPageSize),
      context_(context), batch_(options.batch), logit_rows_(shape.max_logits),
      sinks_((options.sinks + kPageSize - 1) / kPageSize * kPageSize),
      rope_limit_(std::max(options.rope_limit, 2 * (context + kPageSize))),
      notice_(options.notice) {
    if (const uint32_t in_window = shape.window_cells / (kPageSize * options.sequences))
        window_pages_.emplace(options.sequences, in_window * options.sequences, shape.pages,
                              kPageSize);
    for (uint32_t i = options.sequences; i-- > 0;)
        free_sequences_.push_back(i);
    history_.resize(options.sequences);
    lengths_before_.reserve(options.sequences);
}

void Engine::find_ids(const Graph &graph) {
    ids_ = {graph.find(kInputTokens),       graph.find(kInputPositions),
            graph.find(kInputSequences),    graph.find(kInputCells),
            graph.find(kInputPages),        graph.find(kInputLengths),
            graph.find(kInputLogitRows),    graph.find(kOutputLogits),
            graph.find(kInputWindowCells),  graph.find(kInputWindowPages),
            graph.find(kInputRopePositions)};
}

Result<std::shared_ptr<Engine>> Engine::build(std::shared_ptr<const GgufFile> file,
                                              const EngineOptions &options, ModelPlan *plan) {
    RZ_TRY(check_options(options));
    if (options.check_tensors) RZ_TRY(check_tensors(*file));
    RZ_ASSIGN(auto model, ModelFile::open(file));
    RZ_ASSIGN(auto tokenizer, open_tokenizer(*file, *model));
    const uint32_t context =
        options.context ? options.context : std::min(model->config().context, kDefaultContext);
    RZ_ASSIGN(const StepShape shape, step_shape(*model, options, context, kPageSize));
    std::shared_ptr<Engine> engine(new Engine(options, shape, context));
    RZ_ASSIGN(auto variants, build_variants(*model, shape));
    for (Graph &variant : variants) {
        if (!options.observer) break;
        RZ_ASSIGN(variant, options.observer->watch(std::move(variant), *model));
    }
    engine->find_ids(variants.front());
    RunnerOptions run = runner_options(options, file, model);
    RZ_TRY(file->verify_unchanged());
    const auto planner = std::make_shared<ModelPlanner>(
        plan_options(options.placement, run,
                     expected_steps(variants, {context, model->config().vocabulary,
                                               model->config().widest_window(), engine->pages_,
                                               engine->window_pages_})));
    run.place = options.placement.place;
    if (!run.place)
        run.place = [planner](std::span<const Graph> graphs, const Exclusions &exclusions) {
            return planner->place(graphs, exclusions);
        };
    if (plan) {
        RZ_ASSIGN(plan->placements, run.place(variants, {}));
        plan->report = planner->report();
        plan->samples = planner->options().samples;
        return engine;
    }
    RZ_ASSIGN(engine->runner_, Runner::create(std::move(variants), run));
    planner->end_progress();
    engine->model_ = std::move(model);
    engine->tokenizer_ = std::move(tokenizer);
    RZ_TRY(engine->prepare_stream(shape));
    return engine;
}

uint64_t Engine::weight_source_bytes() const {
    uint64_t total = 0;
    for (const GgufTensor &tensor : file().tensors())
        total += tensor.data.size();
    return total;
}

Result<uint32_t> Engine::acquire_sequence() {
    if (free_sequences_.empty())
        return make_error(Code::context_full, "no_sequence", "all %zu sequences are in use",
                          pages_.lengths().size());
    const uint32_t sequence = free_sequences_.back();
    history_[sequence].reserve(context_);
    free_sequences_.pop_back();
    return sequence;
}

void Engine::release_sequence(uint32_t sequence) {
    shrink(sequence, 0);
    free_sequences_.push_back(sequence);
}

void Engine::shrink(uint32_t sequence, uint32_t length) {
    pages_.cut(sequence, length);
    if (window_pages_) window_pages_->cut(sequence, length);
    if (sinks_ > 0 && length == 0) streamed_[sequence].shift = 0;
}

uint32_t Engine::cut(uint32_t sequence, uint32_t length) {
    if (length >= pages_.length(sequence)) return pages_.length(sequence);
    const uint32_t window = config().widest_window();
    // The next row, at position `length`, sees the window - 1 positions before it.
    const uint32_t seen = length >= window ? length + 1 - window : 0;
    if (model_->recurrent() || (window_pages_ && window_pages_->first(sequence) > seen)) length = 0;
    if (stream_place(sequence).shift > 0 && length < sinks_) { // not all sinks stay: turn them back
        if (!turn_sinks(sequence, 0).ok()) length = 0;
        streamed_[sequence].shift = 0;
    }
    shrink(sequence, length);
    return length;
}

// Room for the row behind what its sequence has.
Status Engine::grow(const BatchRow &row) {
    if (window_pages_) RZ_TRY(window_pages_->grow(row.sequence, row.position + 1));
    auto status = pages_.grow(row.sequence, row.position + 1);
    if (!status.ok() && window_pages_) window_pages_->cut(row.sequence, row.position);
    return status;
}

Status Engine::check(std::span<const BatchRow> rows, size_t logits) const {
    if (rows.empty() || rows.size() > batch_)
        return make_error(Code::invalid_argument, "bad_batch", "expected 1 to %u rows, found %zu",
                          batch_, rows.size());
    size_t wanted = 0;
    for (const BatchRow &row : rows) {
        if (row.token < 0 || static_cast<uint32_t>(row.token) >= config().vocabulary)
            return make_error(Code::invalid_argument, "bad_token",
                              "expected a token below %u, found %d", config().vocabulary,
                              row.token);
        if (row.position >= context_)
            return make_error(Code::context_full, "context_full",
                              "the context holds %u positions, position %u is asked for", context_,
                              row.position);
        if (row.sequence >= pages_.lengths().size())
            return make_error(Code::invalid_argument, "bad_batch",
                              "expected a sequence below %zu, found %u", pages_.lengths().size(),
                              row.sequence);
        wanted += row.logits;
    }
    if (wanted > logit_rows_ || logits != wanted * config().vocabulary)
        return make_error(
            Code::invalid_argument, "bad_batch",
            "expected room for %zu rows of logits (at most %u) of %u floats, found %zu floats",
            wanted, logit_rows_, config().vocabulary, logits);
    return {};
}

Status Engine::run_once(std::span<const BatchRow> rows, std::span<float> logits) {
    RZ_TRY(make_room(rows));
    auto status = step(rows, logits);
    if (!status.ok()) give_back(rows);
    return status;
}

Status Engine::make_room(std::span<const BatchRow> rows) {
    const uint32_t window = config().widest_window();
    for (const BatchRow &row : rows) { // the page before what the sequence's next row sees stays
        const uint32_t kept = pages_.length(row.sequence) + 1;
        if (window_pages_ && kept > window + kPageSize)
            window_pages_->forget(row.sequence, kept - window - kPageSize);
    }
    for (size_t grown = 0; grown < rows.size(); ++grown) {
        const BatchRow &row = rows[grown];
        const uint32_t length = pages_.length(row.sequence);
        auto status = row.position == length
                          ? grow(row)
                          : make_error(Code::invalid_argument, "bad_batch",
                                       "sequence %u: expected position %u next, found %u",
                                       row.sequence, length, row.position);
        if (status.ok()) continue;
        while (grown-- > 0)
            shrink(rows[grown].sequence, rows[grown].position);
        return status;
    }
    return {};
}

void Engine::give_back(std::span<const BatchRow> rows) {
    // What a recurrent state held before a step that broke off is lost.
    for (size_t i = rows.size(); i-- > 0;)
        shrink(rows[i].sequence, model_->recurrent() ? 0 : rows[i].position);
}

void Engine::list_rows(std::span<const BatchRow> rows) {
    Inputs &in = inputs_;
    for (auto *list : {&in.tokens, &in.positions, &in.rope_positions, &in.sequences, &in.cells,
                       &in.window_cells, &in.logit_rows})
        list->clear();
    for (size_t i = 0; i < rows.size(); ++i) {
        const BatchRow &row = rows[i];
        in.tokens.push_back(row.token);
        in.positions.push_back(static_cast<int32_t>(row.position));
        if (ids_.rope_positions != kNoTensor)
            in.rope_positions.push_back(
                static_cast<int32_t>(row.position + streamed_[row.sequence].shift));
        in.sequences.push_back(static_cast<int32_t>(row.sequence));
        in.cells.push_back(pages_.cell(row.sequence, row.position));
        if (window_pages_)
            in.window_cells.push_back(window_pages_->cell(row.sequence, row.position));
        if (row.logits) in.logit_rows.push_back(static_cast<int32_t>(i));
    }
    // The head wants at least one row; without a reader its result is dropped.
    if (in.logit_rows.empty()) in.logit_rows.push_back(static_cast<int32_t>(rows.size()) - 1);
}

Status Engine::step(std::span<const BatchRow> rows, std::span<float> logits) {
    Inputs &in = inputs_;
    list_rows(rows);
    in.updates.clear();
    in.updates.push_back({ids_.tokens, bytes_of(in.tokens)});
    in.updates.push_back({ids_.positions, bytes_of(in.positions)});
    if (ids_.rope_positions != kNoTensor)
        in.updates.push_back({ids_.rope_positions, bytes_of(in.rope_positions)});
    in.updates.push_back({ids_.sequences, bytes_of(in.sequences)});
    in.updates.push_back({ids_.cells, bytes_of(in.cells)});
    in.updates.push_back({ids_.pages, bytes_of(pages_.table())});
    in.updates.push_back({ids_.lengths, bytes_of(pages_.lengths())});
    in.updates.push_back({ids_.logit_rows, bytes_of(in.logit_rows)});
    if (window_pages_) {
        in.updates.push_back({ids_.window_cells, bytes_of(in.window_cells)});
        in.updates.push_back({ids_.window_pages, bytes_of(window_pages_->table())});
    }
    in.reads.clear();
    if (!logits.empty()) in.reads.push_back({ids_.logits, std::as_writable_bytes(logits)});

    const auto fits = [&](size_t variant) {
        const auto symbols = runner_->graph(variant).symbols();
        return static_cast<int64_t>(rows.size()) <= symbols[kSymbolTokens].max &&
               static_cast<int64_t>(in.logit_rows.size()) <= symbols[kSymbolLogits].max;
    };
    // ATTENTION wants a bound of all lengths, also of sequences without a row in this step.
    const int32_t longest = *std::ranges::max_element(pages_.lengths());
    const int64_t symbols[kStepSymbols] = {static_cast<int64_t>(rows.size()),
                                           static_cast<int64_t>(in.logit_rows.size()), longest};
    if (observer_ && !replaying_) observer_->begin_step(symbols, in.reads);
    RZ_TRY(runner_->step(fits(0) ? 0 : 1, symbols, in.updates, in.reads));
    if (observer_ && !replaying_) observer_->end_step();
    return {};
}

} // namespace realizar
