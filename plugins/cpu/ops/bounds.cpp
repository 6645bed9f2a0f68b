// CLAMP and CONCAT.
#include "plugins/cpu/ops/op.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

class ClampStep : public RowStep {
  public:
    ClampStep(const View &x, const View &y, const rz_attr_clamp &attr)
        : RowStep(y, 100), x_(x), low_(attr.low), high_(attr.high) {
        reads(x);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const float *x = x_.row(run, step, row);
        float *y = rows.row(run, step, row);
        for (int64_t i = 0; i < rows.elements(run); ++i)
            y[i] = std::min(std::max(x[i], low_), high_);
    }

    View x_;
    float low_, high_;
};

void plan_clamp(Planner &planner, const Node &node) {
    planner.add(std::make_unique<ClampStep>(planner.view(node.inputs[0]),
                                            planner.view(node.outputs[0]),
                                            attributes_of<rz_attr_clamp>(node)));
}

class ConcatStep : public RowStep {
  public:
    ConcatStep(const View &a, const View &b, const View &y) : RowStep(y, 200), a_(a), b_(b) {
        reads(a);
        reads(b);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        float *y = rows.row(run, step, row);
        const auto left = static_cast<size_t>(a_.max_elements());
        const auto right = static_cast<size_t>(b_.max_elements());
        // Dimensions of b that are 1 stay at their only row.
        const int64_t outer = std::min(row / a_.dim(1), b_.dim(0) - 1);
        const int64_t inner = std::min(row % a_.dim(1), b_.dim(1) - 1);
        std::memcpy(y, a_.row(run, step, row), left * sizeof(float));
        std::memcpy(y + left, b_.row(run, step, outer * b_.dim(1) + inner), right * sizeof(float));
    }

    View a_, b_;
};

void plan_concat(Planner &planner, const Node &node) {
    planner.add(std::make_unique<ConcatStep>(
        planner.view(node.inputs[0]), planner.view(node.inputs[1]), planner.view(node.outputs[0])));
}

} // namespace

const Op kClamp = {RZ_OP_CLAMP, true, plan_clamp};
const Op kConcat = {RZ_OP_CONCAT, false, plan_concat};

} // namespace realizar::cpu
