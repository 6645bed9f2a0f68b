// ARGMAX and TOP_K.
#include "plugins/vulkan/ops/op.h"

#include <optional>

namespace realizar::vulkan {

namespace {

// One pass over the row for each of the k best up to here; above, all places at once.
constexpr uint32_t kRounds = 64;

class SelectStep : public Step {
  public:
    SelectStep(const View &x, std::optional<View> values, const View &indices, uint32_t k)
        : x_(x), values_(values), indices_(indices), k_(k) {
        reads(x);
        if (values) writes(*values);
        writes(indices);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = x_.rows(r.symbols), inner = x_.max_inner();
        const SelectParams p = {r.address(x_),
                                values_ ? r.address(*values_) : 0,
                                r.address(indices_),
                                x_.stride(2),
                                inner,
                                rows,
                                k_};
        if (k_ <= kRounds)
            r.dispatch("select", {}, p, {groups_for(rows, 1)});
        else
            r.dispatch("top_k_rank", {}, p, {groups_for(inner, 256), groups_for(rows, 1)});
    }

  private:
    View x_;
    std::optional<View> values_;
    View indices_;
    uint32_t k_;
};

} // namespace

void plan_argmax(Planner &planner, const Node &node) {
    planner.add(std::make_unique<SelectStep>(planner.view(node.inputs[0]), std::nullopt,
                                             planner.view(node.outputs[0]), 1));
}

void plan_top_k(Planner &planner, const Node &node) {
    planner.add(std::make_unique<SelectStep>(
        planner.view(node.inputs[0]), planner.view(node.outputs[0]), planner.view(node.outputs[1]),
        attributes_of<rz_attr_top_k>(node).k));
}

} // namespace realizar::vulkan
