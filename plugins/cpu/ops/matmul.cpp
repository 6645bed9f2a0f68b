// MATMUL: quantised weights take activations in 8 bits, made once per input by a step of its own.
#include "plugins/cpu/ops/lent.h"
#include "plugins/cpu/ops/packed.h"

#include <algorithm>

namespace realizar::cpu {

namespace {

// x in the form of Q8Row: in step t of `rows`, the rows of step t of x, one after the other.
class QuantizeStep : public RowStep {
  public:
    QuantizeStep(const View &x, const View &y) : RowStep(y, 300), x_(x) {
        reads(x);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const auto k = static_cast<uint64_t>(x_.max_elements());
        auto *y = rows.row<uint8_t>(run, step, row);
        for (int64_t r = 0; r < x_.rows(); ++r)
            run.kernels->quantize(x_.row(run, step, r),
                                  y + static_cast<uint64_t>(r) * q8_row_bytes(k), k);
    }

    View x_;
};

// Tiles are panels of rows of w.
class MatmulStep : public Step {
  public:
    // `x` holds the activations as the kernels take them, `rows_per_step` in each step.
    MatmulStep(const Kernels &kernels, const View &w, WeightType type, int64_t w_row_bytes,
               const View &x, int64_t x_stride, const View &y)
        : w_(w), x_(x), y_(y), type_(type), panel_(static_cast<int64_t>(kernels.panel_rows)),
          k_(static_cast<uint64_t>(w.max_elements())), w_row_bytes_(w_row_bytes),
          x_stride_(x_stride), y_stride_(y.uniform_stride()) {
        reads(w, false);
        reads(x, false);
        writes(y, false);
        use_gemm_ = x_stride >= 0 && y_stride_ >= 0;
        if (use_gemm_ &&
            y.max_steps() * y.rows() >= static_cast<int64_t>(kernels.gemm_tokens[type]))
            worker_bytes = kernels.gemm_scratch(type, k_);
    }

    uint64_t tiles(const Run &run) const override {
        return static_cast<uint64_t>((w_.steps(run) + panel_ - 1) / panel_);
    }
    // 20 bytes of weights or 100 multiplications a nanosecond.
    uint64_t cost(const Run &run) const override {
        const auto n = static_cast<uint64_t>(w_.steps(run));
        const auto tokens = static_cast<uint64_t>(y_.steps(run) * y_.rows());
        return n * static_cast<uint64_t>(w_row_bytes_) / 20 + n * tokens * k_ / 100;
    }

    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        const int64_t first = static_cast<int64_t>(begin) * panel_;
        const int64_t last = std::min(static_cast<int64_t>(end) * panel_, w_.steps(run));
        const int64_t tokens = y_.steps(run) * y_.rows();
        if (tokens == 0) return;
        if (use_gemm_ && tokens >= static_cast<int64_t>(run.kernels->gemm_tokens[type_])) {
            for (int64_t row = first; row < last; row += panel_)
                run_panel(run, row, std::min(panel_, last - row), tokens, worker);
        } else if (tokens == 1) {
            run_dot(run, first, last - first, 0, 0);
        } else {
            for (int64_t row = first; row < last; row += panel_)
                for (int64_t t = 0; t < tokens; ++t)
                    run_dot(run, row, std::min(panel_, last - row), t / y_.rows(), t % y_.rows());
        }
    }

  private:
    void run_panel(const Run &run, int64_t row, int64_t count, int64_t tokens,
                   unsigned worker) const {
        run.kernels->gemm[type_]({
            .w = w_.row<uint8_t>(run, row),
            .w_stride = w_.step_stride(),
            .rows = static_cast<uint64_t>(count),
            .k = k_,
            .x = x_.row<uint8_t>(run, 0),
            .x_stride = x_stride_,
            .tokens = static_cast<uint64_t>(tokens),
            .y = y_.row(run, 0) + row,
            .y_stride = y_stride_,
            .scratch = reinterpret_cast<uint8_t *>(run.scratch) + worker * run.worker_bytes,
        });
    }
    void run_dot(const Run &run, int64_t row, int64_t count, int64_t step, int64_t y_row) const {
        const uint8_t *x = x_.rows() == y_.rows() ? x_.row<uint8_t>(run, step, y_row)
                                                  : x_.row<uint8_t>(run, step) + y_row * x_stride_;
        run.kernels->dot[type_]({
            .w = w_.row<uint8_t>(run, row),
            .w_stride = w_.step_stride(),
            .rows = static_cast<uint64_t>(count),
            .k = k_,
            .x = x,
            .y = y_.row(run, step, y_row) + row,
        });
    }

    View w_, x_, y_;
    WeightType type_;
    int64_t panel_;
    uint64_t k_;
    int64_t w_row_bytes_;
    int64_t x_stride_, y_stride_; // between rows; -1: not uniform
    bool use_gemm_;
};

void plan(Planner &planner, const Node &node) {
    if (planner.packed(node.inputs[0])) return plan_packed_matmul(planner, node);
    const Tensor w = planner.region().input(node, 0);
    const WeightType type = weight_type(w.dtype);
    if (type == kWeightTypes) return plan_lent_matmul(planner, node);
    const View x = planner.view(node.inputs[1]);
    View operand = x;
    int64_t stride = x.uniform_stride();
    if (type >= kQ8_0) {
        stride = static_cast<int64_t>(q8_row_bytes(static_cast<uint64_t>(w.inner())));
        uint32_t quantized = planner.find_shared("q8", node.inputs[1]);
        if (quantized == RZ_NONE) {
            quantized = planner.scratch_like(node.inputs[1], x.rows() * stride);
            planner.add(std::make_unique<QuantizeStep>(x, planner.view(quantized)));
            planner.share("q8", node.inputs[1], quantized);
        }
        operand = planner.view(quantized);
    }
    planner.add(std::make_unique<MatmulStep>(planner.kernels(), planner.view(node.inputs[0]), type,
                                             w.row_bytes(), operand, stride,
                                             planner.view(node.outputs[0])));
}

} // namespace

const Op kMatmul = {RZ_OP_MATMUL, false, plan};

} // namespace realizar::cpu
