// RMS_NORM, LAYER_NORM and SOFTMAX: over the innermost dimension.
#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

namespace {

void check_norm(const Region &region, const Node &node, Verdict &v) {
    const Tensor &x = region.input(node, 0), &y = region.output(node, 0);
    v.support(y.dtype == RZ_DTYPE_F32, "F32 operands");
    v.require(same_shape(x, y), "an output like x");
    for (size_t i = 1; i < node.inputs.size(); ++i) {
        if (!region.has_input(node, i)) continue;
        v.support(region.input(node, i).dtype == RZ_DTYPE_F32, "F32 operands");
        v.require(is_vector(region.input(node, i), x.inner()), "weight and bias [D]");
    }
}

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

void check_softmax(const Region &region, const Node &node, Verdict &v) {
    check_norm(region, node, v);
    v.require(attributes_of<rz_attr_scale>(node).bias == 0.0f, "a bias of 0");
}

void plan_softmax(Planner &planner, const Node &node) {
    planner.add(std::make_unique<SoftmaxStep>(planner.view(node.inputs[0]),
                                              planner.view(node.outputs[0]),
                                              attributes_of<rz_attr_scale>(node).scale));
}

} // namespace

const Op kRmsNorm = {RZ_OP_RMS_NORM, "RMS_NORM",           1,    2,          1,        0,
                     kFloat32,       sizeof(rz_attr_norm), true, check_norm, plan_norm};
const Op kLayerNorm = {RZ_OP_LAYER_NORM, "LAYER_NORM",         1,    3,          1,        0,
                       kFloat32,         sizeof(rz_attr_norm), true, check_norm, plan_norm};
const Op kSoftmax = {RZ_OP_SOFTMAX, "SOFTMAX",   1, 1, 1, 0, kFloat32, sizeof(rz_attr_scale), true,
                     check_softmax, plan_softmax};

} // namespace realizar::cpu
