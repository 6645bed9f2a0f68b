// Positions of a sequence to cells of the cache: runs of cells that follow each other in memory.
#pragma once

#include "plugins/cpu/ops/attention_shape.h"

namespace realizar::cpu {

struct CellRun {
    int64_t cell = 0, count = 0; // count 0: the page of the position is not in the cache
};

class AttentionCells {
  public:
    AttentionCells(const Run &run, const AttentionShape &shape, const AttentionViews &views,
                   int64_t sequence)
        : pages_(views.pages.row<int32_t>(run, sequence)), page_size_(shape.attr().page_size),
          cells_(std::min(views.k.steps(run), views.v.steps(run))) {}

    // From `position` on, up to the end of its page, at most `limit`.
    CellRun at(int64_t position, int64_t limit) const {
        const int64_t page = pages_[position / page_size_], in_page = position % page_size_;
        const int64_t cell = page * page_size_ + in_page;
        if (page < 0 || cell >= cells_) return {};
        return {cell, std::min({page_size_ - in_page, limit, cells_ - cell})};
    }
    // The first position of the page after the one of `position`.
    int64_t next_page(int64_t position) const { return (position / page_size_ + 1) * page_size_; }

  private:
    const int32_t *pages_;
    int64_t page_size_, cells_;
};

} // namespace realizar::cpu
