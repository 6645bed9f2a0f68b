// When a device is lost: its part of the model moves to other devices, and what the sequences had in
// memory is evaluated again from their tokens.
#include "core/engine/engine.h"

#include <algorithm>

namespace realizar {

void Engine::remember(uint32_t sequence, std::span<const Token> tokens) {
    history_[sequence].assign(tokens.begin(), tokens.end());
}

void Engine::remember(std::span<const BatchRow> rows) {
    for (const BatchRow &row : rows) {
        std::vector<Token> &tokens = history_[row.sequence];
        // Without the tokens before it there is no use in this one.
        if (tokens.size() < row.position) continue;
        tokens.resize(row.position);
        tokens.push_back(row.token);
    }
}

Status Engine::run(std::span<const BatchRow> rows, std::span<float> logits) {
    RZ_TRY(check(rows, logits.size()));
    lengths_before_.assign(pages_.lengths().begin(), pages_.lengths().end());
    auto status = run_once(rows, logits);
    for (size_t left = runner_->devices().size(); left > 0 && !status.ok(); --left) {
        if (status.error().code != Code::device_lost) break;
        RZ_TRY(recover());
        const auto gone = [&](const BatchRow &row) {
            return pages_.length(row.sequence) !=
                   static_cast<uint32_t>(lengths_before_[row.sequence]);
        };
        if (std::ranges::any_of(rows, gone)) return status;
        status = run_once(rows, logits);
    }
    if (status.ok()) remember(rows);
    return status;
}

Status Engine::recover() {
    auto status = recover_once();
    // Another device may be lost while this one is replaced.
    for (size_t left = runner_->devices().size(); left > 1 && !status.ok(); --left) {
        if (status.error().code != Code::device_lost) break;
        status = recover_once();
    }
    return status;
}

Status Engine::recover_once() {
    RZ_ASSIGN(const std::string moved, runner_->replace_lost());
    choices_.clear(); // of the runner's variants as they were
    if (notice_) notice_(moved);
    const auto sequences = static_cast<uint32_t>(lengths_before_.size());
    for (uint32_t s = 0; s < sequences; ++s) {
        if (stream_place(s).shift > 0)
            history_[s].clear(); // what it has seen is not there any more
        shrink(s, 0);
    }
    replaying_ = true;
    Status status;
    for (uint32_t s = 0; s < sequences && status.ok(); ++s) {
        const auto length = static_cast<size_t>(lengths_before_[s]);
        if (history_[s].size() >= length) status = replay(s, std::span(history_[s]).first(length));
    }
    replaying_ = false;
    return status;
}

Status Engine::replay(uint32_t sequence, std::span<const Token> tokens) {
    std::vector<BatchRow> rows;
    for (size_t begin = 0; begin < tokens.size(); begin += rows.size()) {
        rows.clear();
        for (size_t i = begin; i < std::min<size_t>(tokens.size(), begin + batch_); ++i)
            rows.push_back({tokens[i], static_cast<uint32_t>(i), sequence, false});
        RZ_TRY(run_once(rows, {}));
    }
    return {};
}

} // namespace realizar
