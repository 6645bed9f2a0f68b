// What a compiled program is made of: steps, each a kernel over a grid of independent tiles.
#pragma once

#include "plugins/cpu/kernels/kernels.h"
#include "plugins/cpu/support.h"

#include <memory>
#include <vector>

namespace realizar::cpu {

// What a step sees while it runs. Lives for one submission.
struct Run {
    const int64_t *symbols;
    std::byte *const *bases; // address of each storage of the region
    std::byte *scratch;      // worker_bytes for each worker
    uint64_t worker_bytes;
    const Kernels *kernels;
    unsigned threads;
};

// A tensor as steps (dims[0]) of rows (dims[1..rank-2]) of elements (dims[rank-1]). A tensor of rank
// 1 is one step of one row.
class View {
  public:
    View() = default;
    View(const Region &region, uint32_t tensor);

    uint32_t storage() const { return storage_; }
    int64_t steps(const Run &run) const {
        return rank_ > 1 && symbol_ != RZ_NONE ? run.symbols[symbol_] : steps_;
    }
    int64_t max_steps() const { return steps_; }
    int64_t rows() const { return middle_[0] * middle_[1]; }
    int64_t elements(const Run &run) const {
        return rank_ == 1 && symbol_ != RZ_NONE ? run.symbols[symbol_] : elements_;
    }
    int64_t max_elements() const { return elements_; }
    int64_t dim(unsigned middle) const { return middle_[middle]; }
    int64_t step_stride() const { return step_stride_; }

    // Bytes from each row to the next when that is the same everywhere, else -1.
    int64_t uniform_stride() const;

    template <class T = float>
    T *row(const Run &run, int64_t step, int64_t row = 0) const {
        std::byte *p = run.bases[storage_] + offset_ + step * step_stride_;
        if (row) p += row / middle_[1] * strides_[0] + row % middle_[1] * strides_[1];
        return reinterpret_cast<T *>(p);
    }

    // May steps of dims[0] of both be computed side by side, whatever their number?
    bool same_steps(const View &other) const {
        return steps_ == other.steps_ && step_symbol() == other.step_symbol();
    }
    // Same storage assumed. No byte in common?
    bool disjoint(const View &other) const;
    // Same storage assumed. Does step t of one touch only step t of the other?
    bool aligned(const View &other) const;
    // The same bytes in the same order.
    bool same_layout(const View &other) const;

  private:
    uint32_t step_symbol() const { return rank_ > 1 ? symbol_ : RZ_NONE; }
    bool in_columns() const { return step_stride_ > 0 && column() + step_bytes_ <= step_stride_; }
    int64_t column() const { return offset_ % step_stride_; }

    uint32_t storage_ = 0;
    uint32_t symbol_ = RZ_NONE;
    uint32_t rank_ = 1;
    int64_t steps_ = 1;
    int64_t middle_[2] = {1, 1};
    int64_t elements_ = 1;
    int64_t step_stride_ = 0;
    int64_t strides_[2] = {0, 0};
    int64_t offset_ = 0;
    int64_t step_bytes_ = 0; // from the first to behind the last byte of one step
    int64_t bytes_ = 0;      // of all steps
};

struct Access {
    View view;
    bool write;
    bool by_row; // tile t touches only step t of the view
};

class Step {
  public:
    virtual ~Step() = default;

    // Number of independent tiles in this submission.
    virtual uint64_t tiles(const Run &run) const = 0;
    // Nanoseconds on one core, roughly: decides whether waking other threads pays.
    virtual uint64_t cost(const Run &run) const = 0;
    virtual void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const = 0;

    void reads(const View &view, bool by_row = true) { accesses.push_back({view, false, by_row}); }
    void writes(const View &view, bool by_row = true) { accesses.push_back({view, true, by_row}); }

    // Tiles are the steps of this view; steps with equal ones can be chained tile by tile.
    bool has_rows = false;
    View rows;
    std::vector<Access> accesses;
    uint64_t worker_bytes = 0; // scratch of one worker
};

// A step whose tile t computes step t of its output, row by row.
class RowStep : public Step {
  public:
    RowStep(const View &out, uint64_t picoseconds_per_element)
        : picoseconds_(picoseconds_per_element) {
        has_rows = true;
        rows = out;
    }
    uint64_t tiles(const Run &run) const override { return static_cast<uint64_t>(rows.steps(run)); }
    uint64_t cost(const Run &run) const override {
        return static_cast<uint64_t>(rows.steps(run) * rows.rows() * rows.elements(run)) *
               picoseconds_ / 1000;
    }
    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t)
            for (int64_t r = 0; r < rows.rows(); ++r)
                run_row(run, t, r, worker);
    }

  protected:
    virtual void run_row(const Run &run, int64_t step, int64_t row, unsigned worker) const = 0;

  private:
    uint64_t picoseconds_;
};

} // namespace realizar::cpu
