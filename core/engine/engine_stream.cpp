// Text without end: see slide() in engine.h.
//
// A key is rotated by its position, and scores see only differences of positions. So what lies behind
// the sinks can stay as it is while the text goes on and positions grow; only the sinks, which count as
// standing right before it, must follow by a page each time. For the cells of the cache and for masks
// a sequence stays shorter than the context: its pages behind the dropped one move down in the table.
#include "core/engine/engine.h"

#include <algorithm>

namespace realizar {

Status Engine::prepare_stream(const StepShape &shape) {
    if (sinks_ == 0) return {};
    streamed_.resize(shape.sequences);
    const Graph &graph = runner_->graph(0);
    for (const TensorId state : runner_->states()) {
        const rz_tensor &tensor = graph.tensors()[state];
        if (!is_key_state(tensor.key)) continue;
        auto rope = model_->key_rope(state_layer(tensor.key), shape);
        if (!rope) continue;
        keys_.push_back({state, KeyTurner(std::move(*rope), static_cast<DType>(tensor.dtype),
                                          static_cast<uint32_t>(tensor.dims[1]),
                                          static_cast<uint32_t>(tensor.dims[2]))});
    }
    for (Streamed &streamed : streamed_)
        streamed.sinks.resize(keys_.size());
    return {};
}

StreamPlace Engine::stream_place(uint32_t sequence) const {
    if (sinks_ == 0 || streamed_[sequence].shift == 0) return {};
    return {streamed_[sequence].shift, sinks_};
}

Status Engine::check_place(const StreamPlace &place) const {
    if (place.shift == 0 || (place.sinks == sinks_ && place.shift < rope_limit_)) return {};
    return make_error(
        Code::malformed, "session_mismatch",
        "the session streams with its first %u tokens kept, shifted by %u: expected an "
        "engine that streams so, found one that keeps %u",
        place.sinks, place.shift, sinks_);
}

// Layers with a sliding window have given them back by the time that a sequence slides.
bool Engine::has_sinks(TensorId state, uint32_t sequence) const {
    const uint64_t key = runner_->graph(0).tensors()[state].key;
    return state_kind(key) != StateKind::window_cells || window_pages_->first(sequence) == 0;
}

Status Engine::save_sinks(uint32_t sequence) {
    Streamed &streamed = streamed_[sequence];
    for (size_t i = 0; i < keys_.size(); ++i) {
        const TensorId state = keys_[i].state;
        std::vector<std::byte> &kept = streamed.sinks[i];
        kept.clear();
        if (!has_sinks(state, sequence)) continue;
        SequencePart part = part_of(state, sequence);
        part.count = sinks_;
        const auto read = [&](uint64_t offset, uint64_t size) {
            kept.resize(kept.size() + size);
            return runner_->read_state(state, offset, std::span(kept).last(size));
        };
        RZ_TRY(each_piece(state, part, sequence, 0, read));
    }
    return {};
}

Status Engine::turn_sinks(uint32_t sequence, int64_t by) {
    std::vector<std::byte> rows;
    for (size_t i = 0; i < keys_.size(); ++i) {
        rows = streamed_[sequence].sinks[i];
        if (rows.empty()) continue;
        if (by != 0) keys_[i].turner.turn(rows, by);
        SequencePart part = part_of(keys_[i].state, sequence);
        part.count = sinks_;
        uint64_t at = 0;
        const auto write = [&](uint64_t offset, uint64_t size) {
            at += size;
            return runner_->write_state(keys_[i].state, offset,
                                        std::span(rows).subspan(at - size, size));
        };
        RZ_TRY(each_piece(keys_[i].state, part, sequence, 0, write));
    }
    return {};
}

std::span<const std::byte> Engine::first_sinks(TensorId state, uint32_t sequence) const {
    if (stream_place(sequence).shift == 0) return {};
    const auto keys = std::ranges::find(keys_, state, &Keys::state);
    if (keys == keys_.end()) return {};
    return streamed_[sequence].sinks[static_cast<size_t>(keys - keys_.begin())];
}

Status Engine::resume_stream(uint32_t sequence, uint32_t shift) {
    if (pages_.length(sequence) < sinks_)
        return make_error(Code::malformed, "session_mismatch",
                          "expected at least %u positions of a session that streams, found %u",
                          sinks_, pages_.length(sequence));
    RZ_TRY(save_sinks(sequence));
    streamed_[sequence].shift = shift;
    return turn_sinks(sequence, shift);
}

Status Engine::turn_back(uint32_t sequence) {
    std::vector<std::byte> rows;
    for (const Keys &keys : keys_) {
        const SequencePart part = part_of(keys.state, sequence);
        const auto turn = [&](uint64_t offset, uint64_t size) -> Status {
            rows.resize(size);
            RZ_TRY(runner_->read_state(keys.state, offset, rows));
            keys.turner.turn(rows, -int64_t{streamed_[sequence].shift});
            return runner_->write_state(keys.state, offset, rows);
        };
        RZ_TRY(each_piece(keys.state, part, sequence, std::max(part.first, sinks_), turn));
    }
    streamed_[sequence].shift = 0;
    return turn_sinks(sequence, 0);
}

Status Engine::do_slide(uint32_t sequence) {
    Streamed &streamed = streamed_[sequence];
    if (uint64_t{streamed.shift} + kPageSize + context_ > rope_limit_) RZ_TRY(turn_back(sequence));
    // What the next row sees, and a page by which the sequence can be cut back.
    if (window_pages_)
        window_pages_->forget(sequence, context_ + 1 - config().widest_window() - kPageSize);
    if (streamed.shift == 0) RZ_TRY(save_sinks(sequence));
    pages_.drop(sequence, sinks_ / kPageSize);
    if (window_pages_) window_pages_->drop(sequence, sinks_ / kPageSize);
    streamed.shift += kPageSize;
    return turn_sinks(sequence, streamed.shift);
}

Result<uint32_t> Engine::slide(uint32_t sequence) {
    if (sinks_ == 0 || pages_.length(sequence) != context_)
        return make_error(
            Code::invalid_argument, "bad_batch",
            "expected a full sequence of a streaming engine, found %u of %u positions",
            pages_.length(sequence), context_);
    if (auto status = do_slide(sequence); !status.ok()) {
        shrink(sequence, 0);
        return std::move(status).error();
    }
    return uint32_t{kPageSize};
}

} // namespace realizar
