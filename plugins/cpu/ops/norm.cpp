// RMS_NORM, LAYER_NORM and SOFTMAX: over the innermost dimension.
#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

namespace {

class NormStep : public RowStep {
  public:
    NormStep(Planner &planner, const Node &node)
        : RowStep(planner.view(node.outputs[0]), 500), x_(planner.view(node.inputs[0])),
          epsilon_(attributes_of<rz_attr_norm>(node).epsilon), layer_(node.op == RZ_OP_LAYER_NORM) {
        reads(x_);
        writes(rows);
        for (size_t i = 1; i < node.inputs.size(); ++i) {
            if (!planner.region().has_input(node, i)) continue;
            has_[i - 1] = true;
            vectors_[i - 1] = planner.view(node.inputs[i]);
            reads(vectors_[i - 1], false);
        }
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const float *x = x_.row(run, step, row);
        float *y = rows.row(run, step, row);
        const auto n = static_cast<uint64_t>(rows.elements(run));
        const float *weight = has_[0] ? vectors_[0].row(run, 0) : nullptr;
        const float *bias = has_[1] ? vectors_[1].row(run, 0) : nullptr;
        if (layer_)
            run.kernels->layer_norm(x, weight, bias, y, n, epsilon_);
        else
            run.kernels->rms_norm(x, weight, y, n, epsilon_);
    }

    View x_;
    View vectors_[2]; // weight, bias
    bool has_[2] = {false, false};
    float epsilon_;
    bool layer_;
};

void plan_norm(Planner &planner, const Node &node) {
    planner.add(std::make_unique<NormStep>(planner, node));
}

class SoftmaxStep : public RowStep {
  public:
    SoftmaxStep(const View &x, const View &y, float scale)
        : RowStep(y, 1000), x_(x), scale_(scale) {
        reads(x);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        run.kernels->softmax(x_.row(run, step, row), rows.row(run, step, row),
                             static_cast<uint64_t>(rows.elements(run)), scale_);
    }

    View x_;
    float scale_;
};

void plan_softmax(Planner &planner, const Node &node) {
    planner.add(std::make_unique<SoftmaxStep>(planner.view(node.inputs[0]),
                                              planner.view(node.outputs[0]),
                                              attributes_of<rz_attr_scale>(node).scale));
}

} // namespace

const Op kRmsNorm = {RZ_OP_RMS_NORM, true, plan_norm};
const Op kLayerNorm = {RZ_OP_LAYER_NORM, true, plan_norm};
const Op kSoftmax = {RZ_OP_SOFTMAX, true, plan_softmax};

} // namespace realizar::cpu
