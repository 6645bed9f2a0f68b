// Which cells of the KV cache belong to which position of which sequence.
//
// The cache is a pool of pages of `page_size` cells (Kwon et al., PagedAttention, arXiv:2309.06180);
// a sequence takes pages as it grows and gives them back when it is cut. Position p of a sequence is
// cell table[p / page_size] * page_size + p % page_size, as ATTENTION in backend.h reads it.
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace realizar {

class KvPages {
  public:
    // `pages` in the pool; each sequence may hold `pages_per_sequence` of them.
    KvPages(uint32_t sequences, uint32_t pages, uint32_t pages_per_sequence, uint32_t page_size);

    // Makes room for positions [0, length) of the sequence; never shrinks it. Takes nothing if it
    // fails (tag context_full).
    Status grow(uint32_t sequence, uint32_t length);
    // Keeps positions [0, length) only; 0, or not less than first().
    void cut(uint32_t sequence, uint32_t length);
    // Gives back the pages that hold only positions below `position`, which is within the sequence:
    // a layer with a sliding window sees them no more.
    void forget(uint32_t sequence, uint32_t position);
    // Gives back one page whose positions all exist and moves what lies behind it down by a page.
    void drop(uint32_t sequence, uint32_t page);
    // The first position that is kept.
    uint32_t first(uint32_t sequence) const { return first_[sequence]; }

    int32_t cell(uint32_t sequence, uint32_t position) const;
    uint32_t length(uint32_t sequence) const;
    uint32_t free_pages() const { return static_cast<uint32_t>(free_.size()); }

    // The inputs of a step: [sequences, pages_per_sequence] with -1 for unmapped, and [sequences].
    std::span<const int32_t> table() const { return table_; }
    std::span<const int32_t> lengths() const { return lengths_; }

  private:
    void release(uint32_t sequence, uint32_t page);
    int32_t *row(uint32_t sequence) { return table_.data() + uint64_t{sequence} * per_sequence_; }

    uint32_t per_sequence_, page_size_;
    std::vector<int32_t> table_, lengths_, free_; // free_: page numbers, the next one last
    std::vector<uint32_t> first_;                 // by sequence, the beginning of a page
};

} // namespace realizar
