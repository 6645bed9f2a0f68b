// RMS_NORM, LAYER_NORM, SOFTMAX: a workgroup for each row.
#include "plugins/vulkan/ops/op.h"

#include <optional>

namespace realizar::vulkan {

namespace {

class NormStep : public Step {
  public:
    NormStep(bool layer, float epsilon, const View &x, std::optional<View> weight,
             std::optional<View> bias, const View &y)
        : layer_(layer), epsilon_(epsilon), x_(x), weight_(weight), bias_(bias), y_(y) {
        reads(x);
        if (weight) reads(*weight);
        if (bias) reads(*bias);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = x_.rows(r.symbols);
        const NormParams p = {r.rows(x_),
                              weight_ ? r.address(*weight_) : 0,
                              bias_ ? r.address(*bias_) : 0,
                              r.address(y_),
                              x_.n1(),
                              x_.n2(),
                              x_.inner(r.symbols),
                              rows,
                              epsilon_};
        r.dispatch("norm", {layer_ ? 1u : 0u}, p, {groups_for(rows, 1)});
    }

  private:
    bool layer_;
    float epsilon_;
    View x_;
    std::optional<View> weight_, bias_;
    View y_;
};

class SoftmaxStep : public Step {
  public:
    SoftmaxStep(const View &x, const View &y, float scale) : x_(x), y_(y), scale_(scale) {
        reads(x);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = x_.rows(r.symbols);
        const SoftmaxParams p = {r.rows(x_),          r.address(y_), x_.n1(), x_.n2(),
                                 x_.inner(r.symbols), rows,          scale_};
        r.dispatch("softmax", {}, p, {groups_for(rows, 1)});
    }

  private:
    View x_, y_;
    float scale_;
};

std::optional<View> optional_view(const Planner &planner, const Node &node, size_t i) {
    if (!planner.region().has_input(node, i)) return std::nullopt;
    return planner.view(node.inputs[i]);
}

} // namespace

void plan_norm(Planner &planner, const Node &node) {
    planner.add(std::make_unique<NormStep>(
        node.op == RZ_OP_LAYER_NORM, attributes_of<rz_attr_norm>(node).epsilon,
        planner.view(node.inputs[0]), optional_view(planner, node, 1),
        optional_view(planner, node, 2), planner.view(node.outputs[0])));
}

void plan_norm_mul(Planner &planner, const Node &norm, uint32_t weight, uint32_t out) {
    planner.add(std::make_unique<NormStep>(false, attributes_of<rz_attr_norm>(norm).epsilon,
                                           planner.view(norm.inputs[0]), planner.view(weight),
                                           std::nullopt, planner.view(out)));
}

void plan_softmax(Planner &planner, const Node &node) {
    planner.add(std::make_unique<SoftmaxStep>(planner.view(node.inputs[0]),
                                              planner.view(node.outputs[0]),
                                              attributes_of<rz_attr_scale>(node).scale));
}

} // namespace realizar::vulkan
