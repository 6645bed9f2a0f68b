// RMS_NORM, LAYER_NORM, SOFTMAX: a workgroup for each row.
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/plan/choose.h"

#include <algorithm>
#include <optional>

namespace realizar::vulkan {

namespace {

class NormStep : public Step {
  public:
    NormStep(bool layer, float epsilon, const View &x, std::optional<View> weight,
             std::optional<View> bias, const View &y, bool taken = false)
        : layer_(layer), epsilon_(epsilon), x_(x), weight_(weight), bias_(bias), y_(y),
          taken_(taken) {
        reads(x);
        if (weight) reads(*weight);
        if (bias) reads(*bias);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = x_.rows(r.symbols);
        const bool elsewhere =
            makes_bytes(rows) || makes_half_rows(r.features(), y_.max_inner(), rows);
        if (taken_ && elsewhere) return;
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
    bool taken_; // quantize.comp or half_rows.comp makes it where that runs
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

void plan_rms(Planner &planner, const Node &node, std::optional<View> weight, uint32_t out) {
    const View x = planner.view(node.inputs[0]), y = planner.view(out);
    const float epsilon = attributes_of<rz_attr_norm>(node).epsilon;
    const Tensor &source = planner.region().input(node, 0);
    const bool steady = source.role == RZ_ROLE_TEMP || source.role == RZ_ROLE_INPUT;
    const bool aligned = !weight || weight->offset() % 16 == 0;
    const bool taken = planner.fuse() && steady && aligned && fits_single(x) && fits_single(y) &&
                       planner.region().tensors[out].role == RZ_ROLE_TEMP &&
                       planner.only_matrices_take(out);
    if (taken) {
        planner.share_norm(out, {x, weight, epsilon});
        planner.set_not_single(y);
    }
    planner.add(std::make_unique<NormStep>(false, epsilon, x, weight, std::nullopt, y, taken));
    planner.set_not_single(std::nullopt);
}

} // namespace

void plan_norm(Planner &planner, const Node &node) {
    const auto weight = optional_view(planner, node, 1);
    if (node.op == RZ_OP_RMS_NORM) return plan_rms(planner, node, weight, node.outputs[0]);
    planner.add(std::make_unique<NormStep>(
        true, attributes_of<rz_attr_norm>(node).epsilon, planner.view(node.inputs[0]), weight,
        optional_view(planner, node, 2), planner.view(node.outputs[0])));
}

void plan_norm_mul(Planner &planner, const Node &norm, uint32_t weight, uint32_t out) {
    plan_rms(planner, norm, planner.view(weight), out);
}

void plan_softmax(Planner &planner, const Node &node) {
    planner.add(std::make_unique<SoftmaxStep>(planner.view(node.inputs[0]),
                                              planner.view(node.outputs[0]),
                                              attributes_of<rz_attr_scale>(node).scale));
}

} // namespace realizar::vulkan
