// ADD, MUL, SCALE, UNARY, GLU: one output element from the input elements at the same place.
#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

namespace {

class BinaryStep : public RowStep {
  public:
    using Kernel = decltype(Kernels::add);
    BinaryStep(const View &a, const View &b, bool repeats, const View &y, Kernel kernel)
        : RowStep(y, 250), a_(a), b_(b), repeats_(repeats), kernel_(kernel) {
        reads(a);
        reads(b, !repeats);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const float *b;
        if (repeats_) {
            const int64_t i = row % (b_.max_steps() * b_.rows());
            b = b_.row(run, i / b_.rows(), i % b_.rows());
        } else {
            b = b_.row(run, step, row);
        }
        kernel_(a_.row(run, step, row), b, rows.row(run, step, row),
                static_cast<uint64_t>(rows.elements(run)));
    }

    View a_, b_;
    bool repeats_; // b has fewer dimensions and repeats over the outer ones of a
    Kernel kernel_;
};

template <BinaryStep::Kernel Kernels::*kKernel>
void plan_binary(Planner &planner, const Node &node) {
    const Region &region = planner.region();
    const bool repeats = region.input(node, 0).rank != region.input(node, 1).rank;
    planner.add(std::make_unique<BinaryStep>(
        planner.view(node.inputs[0]), planner.view(node.inputs[1]), repeats,
        planner.view(node.outputs[0]), planner.kernels().*kKernel));
}

class ScaleStep : public RowStep {
  public:
    ScaleStep(const View &x, const View &y, float scale, float bias)
        : RowStep(y, 250), x_(x), scale_(scale), bias_(bias) {
        reads(x);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        run.kernels->scale(x_.row(run, step, row), rows.row(run, step, row),
                           static_cast<uint64_t>(rows.elements(run)), scale_, bias_);
    }

    View x_;
    float scale_, bias_;
};

void plan_scale(Planner &planner, const Node &node) {
    const auto a = attributes_of<rz_attr_scale>(node);
    planner.add(std::make_unique<ScaleStep>(planner.view(node.inputs[0]),
                                            planner.view(node.outputs[0]), a.scale, a.bias));
}

// UNARY, or GLU when there is a second input.
class ActivationStep : public RowStep {
  public:
    ActivationStep(uint32_t kind, const View &x, const View *up, const View &y)
        : RowStep(y, 1000), kind_(kind), x_(x), glu_(up != nullptr) {
        reads(x);
        if (up) {
            up_ = *up;
            reads(*up);
        }
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const float *x = x_.row(run, step, row);
        float *y = rows.row(run, step, row);
        const auto n = static_cast<uint64_t>(rows.elements(run));
        if (glu_)
            run.kernels->glu(kind_, x, up_.row(run, step, row), y, n);
        else
            run.kernels->unary(kind_, x, y, n);
    }

    uint32_t kind_;
    View x_, up_;
    bool glu_;
};

void plan_activation(Planner &planner, const Node &node) {
    const uint32_t kind = attributes_of<rz_attr_unary>(node).kind;
    const View x = planner.view(node.inputs[0]), y = planner.view(node.outputs[0]);
    View up;
    if (node.inputs.size() > 1) up = planner.view(node.inputs[1]);
    planner.add(
        std::make_unique<ActivationStep>(kind, x, node.inputs.size() > 1 ? &up : nullptr, y));
}

} // namespace

const Op kAdd = {RZ_OP_ADD, true, plan_binary<&Kernels::add>};
const Op kMul = {RZ_OP_MUL, true, plan_binary<&Kernels::mul>};
const Op kScale = {RZ_OP_SCALE, true, plan_scale};
const Op kUnary = {RZ_OP_UNARY, true, plan_activation};
const Op kGlu = {RZ_OP_GLU, true, plan_activation};

} // namespace realizar::cpu
