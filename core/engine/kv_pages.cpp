#include "core/engine/kv_pages.h"

#include <algorithm>

namespace realizar {

KvPages::KvPages(uint32_t sequences, uint32_t pages, uint32_t pages_per_sequence,
                 uint32_t page_size)
    : per_sequence_(pages_per_sequence), page_size_(page_size),
      table_(uint64_t{sequences} * pages_per_sequence, -1), lengths_(sequences, 0), free_(pages),
      first_(sequences, 0) {
    for (uint32_t i = 0; i < pages; ++i)
        free_[i] = static_cast<int32_t>(pages - 1 - i); // page 0 is taken first
}

Status KvPages::grow(uint32_t sequence, uint32_t length) {
    const auto pages_for = [&](uint32_t n) { return (n + page_size_ - 1) / page_size_; };
    const uint32_t have = pages_for(this->length(sequence)), want = pages_for(length);
    if (want > per_sequence_)
        return make_error(Code::context_full, "context_full",
                          "a sequence may have %u positions, %u are asked for",
                          per_sequence_ * page_size_, length);
    if (want > have && want - have > free_.size())
        return make_error(Code::context_full, "context_full",
                          "%u more pages of the KV cache are needed, %zu are free", want - have,
                          free_.size());
    for (uint32_t page = have; page < want; ++page) {
        row(sequence)[page] = free_.back();
        free_.pop_back();
    }
    lengths_[sequence] = std::max(lengths_[sequence], static_cast<int32_t>(length));
    return {};
}

void KvPages::cut(uint32_t sequence, uint32_t length) {
    if (length >= this->length(sequence)) return;
    lengths_[sequence] = static_cast<int32_t>(length);
    const uint32_t keep = (length + page_size_ - 1) / page_size_;
    for (uint32_t page = per_sequence_; page-- > keep;)
        release(sequence, page);
    if (length == 0) first_[sequence] = 0;
}

void KvPages::forget(uint32_t sequence, uint32_t position) {
    const uint32_t first = std::min(position, length(sequence)) / page_size_;
    for (uint32_t page = first_[sequence] / page_size_; page < first; ++page)
        release(sequence, page);
    first_[sequence] = std::max(first_[sequence], first * page_size_);
}

void KvPages::drop(uint32_t sequence, uint32_t page) {
    release(sequence, page);
    int32_t *const pages = row(sequence);
    std::rotate(pages + page, pages + page + 1, pages + per_sequence_);
    lengths_[sequence] -= static_cast<int32_t>(page_size_);
    if (first_[sequence] > page * page_size_) first_[sequence] -= page_size_;
}

void KvPages::release(uint32_t sequence, uint32_t page) {
    int32_t &entry = row(sequence)[page];
    if (entry < 0) return;
    free_.push_back(entry);
    entry = -1;
}

int32_t KvPages::cell(uint32_t sequence, uint32_t position) const {
    const int32_t page = table_[uint64_t{sequence} * per_sequence_ + position / page_size_];
    return page * static_cast<int32_t>(page_size_) + static_cast<int32_t>(position % page_size_);
}

uint32_t KvPages::length(uint32_t sequence) const {
    return static_cast<uint32_t>(lengths_[sequence]);
}

} // namespace realizar
