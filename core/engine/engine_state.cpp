// The memory of a sequence as bytes: what session files are made of.
#include "core/engine/engine.h"

#include <algorithm>

namespace realizar {
namespace {

// A key without what the first dimension counts: a longer context may have sliding windows apart.
uint64_t plain_key(uint64_t key) { return key / 4; }

bool is_recurrent(const rz_tensor &tensor) {
    return state_kind(tensor.key) == StateKind::sequences;
}

uint64_t row_bytes_of(const rz_tensor &tensor) {
    uint64_t elements = 1;
    for (uint32_t i = 1; i < tensor.rank; ++i)
        elements *= static_cast<uint64_t>(tensor.dims[i]);
    return row_bytes(static_cast<DType>(tensor.dtype), elements);
}

Error mismatch(const char *what) {
    return make_error(Code::malformed, "session_mismatch",
                      "expected the states of this model with these cache types, found %s", what);
}

} // namespace

SequencePart Engine::part_of(TensorId state, uint32_t sequence) const {
    const rz_tensor &tensor = runner_->graph(0).tensors()[state];
    SequencePart part{
        plain_key(tensor.key), static_cast<DType>(tensor.dtype), is_recurrent(tensor), 0, 0,
        row_bytes_of(tensor)};
    const uint32_t length = pages_.length(sequence);
    if (part.recurrent) {
        part.count = length > 0;
    } else {
        if (state_kind(tensor.key) == StateKind::window_cells)
            part.first = window_pages_->first(sequence);
        part.count = length - part.first;
    }
    return part;
}

std::vector<SequencePart> Engine::sequence_parts(uint32_t sequence) const {
    std::vector<SequencePart> parts;
    for (const TensorId state : runner_->states())
        parts.push_back(part_of(state, sequence));
    return parts;
}

Status Engine::each_piece(TensorId state, const SequencePart &part, uint32_t sequence,
                          uint32_t first,
                          const std::function<Status(uint64_t offset, uint64_t size)> &each) const {
    if (part.recurrent)
        return part.count ? each(sequence * part.row_bytes, part.row_bytes) : Status{};
    const rz_tensor &tensor = runner_->graph(0).tensors()[state];
    const bool window = state_kind(tensor.key) == StateKind::window_cells;
    const KvPages &pages = window ? *window_pages_ : pages_;
    const uint32_t end = part.first + part.count;
    for (uint32_t position = first; position < end;) { // cells of one page lie side by side
        const uint32_t next = std::min(end, (position / kPageSize + 1) * kPageSize);
        const auto cell = static_cast<uint64_t>(pages.cell(sequence, position));
        RZ_TRY(each(cell * part.row_bytes, (next - position) * part.row_bytes));
        position = next;
    }
    return {};
}

Status Engine::read_sequence(uint32_t sequence,
                             const std::function<Status(std::span<const std::byte>)> &sink) const {
    std::vector<std::byte> piece;
    for (const TensorId state : runner_->states()) {
        const SequencePart part = part_of(state, sequence);
        const auto read = [&](uint64_t offset, uint64_t size) {
            piece.resize(size);
            auto status = runner_->read_state(state, offset, piece);
            return status.ok() ? sink(piece) : status;
        };
        uint32_t first = part.first;
        if (const auto sinks = first_sinks(state, sequence); !sinks.empty()) {
            RZ_TRY(sink(sinks));
            first = sinks_;
        }
        RZ_TRY(each_piece(state, part, sequence, first, read));
    }
    return {};
}

Status Engine::write_sequence(uint32_t sequence, uint32_t length,
                              std::span<const SequencePart> parts, std::span<const std::byte> data,
                              StreamPlace place) {
    RZ_TRY(check_place(place));
    auto status = restore(sequence, length, parts, data);
    if (status.ok() && place.shift > 0) status = resume_stream(sequence, place.shift);
    if (!status.ok()) shrink(sequence, 0);
    return status;
}

Status Engine::restore(uint32_t sequence, uint32_t length, std::span<const SequencePart> parts,
                       std::span<const std::byte> data) {
    if (length > context_)
        return make_error(Code::context_full, "context_full",
                          "the context holds %u positions, the session has %u", context_, length);
    const auto states = runner_->states();
    if (parts.size() != states.size()) return mismatch("another number of states");
    // Pages of sliding windows: what the next row sees, and a page by which it can be cut back.
    const uint32_t window = config().widest_window();
    const uint32_t from = length + 1 > window + kPageSize ? length + 1 - window - kPageSize : 0;
    for (uint32_t grown = 0; grown < length;) {
        grown = std::min(length, grown + kPageSize);
        RZ_TRY(pages_.grow(sequence, grown));
        if (!window_pages_) continue;
        RZ_TRY(window_pages_->grow(sequence, grown));
        window_pages_->forget(sequence, std::min(from, grown));
    }
    uint64_t at = 0;
    for (size_t i = 0; i < states.size(); ++i) {
        const SequencePart mine = part_of(states[i], sequence), &theirs = parts[i];
        if (mine.key != theirs.key || mine.dtype != theirs.dtype ||
            mine.recurrent != theirs.recurrent || mine.row_bytes != theirs.row_bytes)
            return mismatch("others");
        if (theirs.first > mine.first ||
            theirs.first + uint64_t{theirs.count} != mine.first + uint64_t{mine.count})
            return mismatch("fewer positions of a sliding window than this context keeps");
        if (theirs.bytes() > data.size() - at) return mismatch("fewer bytes");
        uint64_t from_byte = at + (mine.first - theirs.first) * mine.row_bytes;
        at += theirs.bytes();
        const auto write = [&](uint64_t offset, uint64_t size) {
            const auto piece = data.subspan(from_byte, size);
            from_byte += size;
            return runner_->write_state(states[i], offset, piece);
        };
        RZ_TRY(each_piece(states[i], mine, sequence, mine.first, write));
    }
    return at == data.size() ? Status{} : mismatch("more bytes");
}

} // namespace realizar
