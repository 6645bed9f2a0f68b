// ROUTE and WEIGHTED_SUM: which experts a token takes, and the sum of what they say.
#include "plugins/vulkan/ops/op.h"

#include <optional>

namespace realizar::vulkan {

namespace {

class RouteStep : public Step {
  public:
    RouteStep(const View &logits, std::optional<View> bias, const View &weights,
              const View &experts, const rz_attr_route &attr)
        : logits_(logits), bias_(bias), weights_(weights), experts_(experts), attr_(attr) {
        reads(logits);
        if (bias) reads(*bias);
        writes(weights);
        writes(experts);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = logits_.rows(r.symbols);
        const RouteParams p = {
            .logits = r.address(logits_),
            .bias = bias_ ? r.address(*bias_) : 0,
            .weights = r.address(weights_),
            .experts = r.address(experts_),
            .stride = logits_.stride(2),
            .rows = rows,
            .k = attr_.k,
            .gating = attr_.gating,
            .groups = attr_.groups,
            .groups_used = attr_.groups_used,
            .group_top = attr_.group_top,
            .normalise = attr_.normalise,
            .scale = attr_.scale,
        };
        r.dispatch("route", {logits_.max_inner(), attr_.groups}, p, {groups_for(rows, 1)});
    }

  private:
    View logits_;
    std::optional<View> bias_;
    View weights_, experts_;
    rz_attr_route attr_;
};

class WeightedSumStep : public Step {
  public:
    WeightedSumStep(const View &x, const View &weights, const View &y)
        : x_(x), weights_(weights), y_(y) {
        reads(x);
        reads(weights);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t total = y_.rows(r.symbols) * y_.max_inner();
        const WeightedSumParams p = {r.address(x_),  r.address(weights_), r.address(y_),
                                     x_.stride(1),   x_.stride(2),        weights_.stride(2),
                                     x_.max_size(2), y_.max_inner(),      total};
        r.dispatch("weighted_sum", {}, p, {groups_for(total, 256)});
    }

  private:
    View x_, weights_, y_;
};

} // namespace

void plan_route(Planner &planner, const Node &node) {
    std::optional<View> bias;
    if (planner.region().has_input(node, 1)) bias = planner.view(node.inputs[1]);
    planner.add(std::make_unique<RouteStep>(
        planner.view(node.inputs[0]), bias, planner.view(node.outputs[0]),
        planner.view(node.outputs[1]), attributes_of<rz_attr_route>(node)));
}

void plan_weighted_sum(Planner &planner, const Node &node) {
    planner.add(std::make_unique<WeightedSumStep>(
        planner.view(node.inputs[0]), planner.view(node.inputs[1]), planner.view(node.outputs[0])));
}

} // namespace realizar::vulkan
