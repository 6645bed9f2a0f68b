#include "plugins/cpu/ops/lent.h"

#include <algorithm>

namespace realizar::cpu {

namespace {

// Tiles are panels of rows of w, each decoded once and then used for all tokens.
class LentMatmulStep : public Step {
  public:
    LentMatmulStep(const Planner &planner, const Node &node)
        : w_(planner.view(node.inputs[0])), x_(planner.view(node.inputs[1])),
          y_(planner.view(node.outputs[0])),
          decode_(planner, planner.region().input(node, 0).dtype),
          panel_(std::min<int64_t>(kMaxPanel, static_cast<int64_t>(planner.kernels().panel_rows))),
          k_(static_cast<uint64_t>(w_.max_elements())), x_stride_(x_.uniform_stride()),
          y_stride_(y_.uniform_stride()) {
        reads(w_, false);
        reads(x_, false);
        writes(y_, false);
        panel_bytes_ = align_up(static_cast<uint64_t>(panel_) * k_ * sizeof(float));
        worker_bytes = panel_bytes_;
        if (x_stride_ >= 0 && y_stride_ >= 0 &&
            y_.max_steps() * y_.rows() >= gemm_from(planner.kernels()))
            worker_bytes += planner.kernels().gemm_scratch(kF32, k_);
    }

    uint64_t tiles(const Run &run) const override {
        return static_cast<uint64_t>((w_.steps(run) + panel_ - 1) / panel_);
    }
    // A nanosecond for each element decoded, or for 50 multiplications.
    uint64_t cost(const Run &run) const override {
        const uint64_t elements = static_cast<uint64_t>(w_.steps(run)) * k_;
        return elements + elements * static_cast<uint64_t>(y_.steps(run) * y_.rows()) / 50;
    }

    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        const int64_t tokens = y_.steps(run) * y_.rows();
        if (tokens == 0) return;
        auto *scratch = reinterpret_cast<uint8_t *>(run.scratch) + worker * run.worker_bytes;
        auto *panel = reinterpret_cast<float *>(scratch);
        const int64_t stop = std::min(static_cast<int64_t>(end) * panel_, w_.steps(run));
        for (int64_t row = static_cast<int64_t>(begin) * panel_; row < stop; row += panel_) {
            const int64_t count = std::min(panel_, stop - row);
            for (int64_t r = 0; r < count; ++r)
                decode_(run, w_.row<uint8_t>(run, row + r), panel + static_cast<uint64_t>(r) * k_,
                        k_);
            if (x_stride_ >= 0 && y_stride_ >= 0 && tokens >= gemm_from(*run.kernels))
                run_gemm(run, scratch, row, count, tokens);
            else
                run_dots(run, scratch, row, count, tokens);
        }
    }

  private:
    static constexpr int64_t kMaxPanel = 16;
    static int64_t gemm_from(const Kernels &kernels) {
        return static_cast<int64_t>(kernels.gemm_tokens[kF32]);
    }
    int64_t row_bytes() const { return static_cast<int64_t>(k_ * sizeof(float)); }

    void run_gemm(const Run &run, uint8_t *scratch, int64_t row, int64_t count,
                  int64_t tokens) const {
        run.kernels->gemm[kF32]({
            .w = scratch,
            .w_stride = row_bytes(),
            .rows = static_cast<uint64_t>(count),
            .k = k_,
            .x = x_.row<uint8_t>(run, 0),
            .x_stride = x_stride_,
            .tokens = static_cast<uint64_t>(tokens),
            .y = y_.row(run, 0) + row,
            .y_stride = y_stride_,
            .scratch = scratch + panel_bytes_,
        });
    }
    void run_dots(const Run &run, const uint8_t *panel, int64_t row, int64_t count,
                  int64_t tokens) const {
        for (int64_t t = 0; t < tokens; ++t)
            run.kernels->dot[kF32]({
                .w = panel,
                .w_stride = row_bytes(),
                .rows = static_cast<uint64_t>(count),
                .k = k_,
                .x = x_.row<uint8_t>(run, t / y_.rows(), t % y_.rows()),
                .y = y_.row(run, t / y_.rows(), t % y_.rows()) + row,
            });
    }

    View w_, x_, y_;
    RowDecoder decode_;
    int64_t panel_; // rows
    uint64_t k_;
    int64_t x_stride_, y_stride_; // between rows; -1: not uniform
    uint64_t panel_bytes_;
};

} // namespace

void plan_lent_matmul(Planner &planner, const Node &node) {
    planner.add(std::make_unique<LentMatmulStep>(planner, node));
}

} // namespace realizar::cpu
