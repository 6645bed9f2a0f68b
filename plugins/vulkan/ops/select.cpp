// ARGMAX and TOP_K.
#include "plugins/vulkan/ops/op.h"

#include <optional>

namespace realizar::vulkan {

namespace {

// One pass over the row for each of the k best up to here; above, first which, then their order.
constexpr uint32_t kRounds = 64;

struct Selection {
    View x;
    std::optional<View> values; // none: ARGMAX
    View indices;
    uint32_t k;
    std::optional<View> picked; // with k above kRounds: [rows, k] in any order

    SelectParams params(const Recorder &r) const {
        return {r.address(x),       values ? r.address(*values) : 0,
                r.address(indices), picked ? r.address(*picked) : 0,
                x.stride(2),        x.max_inner(),
                x.rows(r.symbols),  k};
    }
};

class SelectStep : public Step {
  public:
    explicit SelectStep(const Selection &selection) : s_(selection) {
        reads(s_.x);
        if (s_.values) writes(*s_.values);
        writes(s_.indices);
    }

    void record(Recorder &r) const override {
        r.dispatch("select", {}, s_.params(r), {groups_for(s_.x.rows(r.symbols), 1)});
    }

  private:
    Selection s_;
};

class PickStep : public Step {
  public:
    explicit PickStep(const Selection &selection) : s_(selection) {
        reads(s_.x);
        writes(*s_.picked);
    }

    void record(Recorder &r) const override {
        r.dispatch("top_k_pick", {}, s_.params(r), {groups_for(s_.x.rows(r.symbols), 1)});
    }

  private:
    Selection s_;
};

class RankStep : public Step {
  public:
    explicit RankStep(const Selection &selection) : s_(selection) {
        reads(s_.x);
        reads(*s_.picked);
        writes(*s_.values);
        writes(s_.indices);
    }

    void record(Recorder &r) const override {
        r.dispatch("top_k_rank", {}, s_.params(r),
                   {groups_for(s_.k, 256), groups_for(s_.x.rows(r.symbols), 1)});
    }

  private:
    Selection s_;
};

} // namespace

void plan_argmax(Planner &planner, const Node &node) {
    const Selection selection = {planner.view(node.inputs[0]), std::nullopt,
                                 planner.view(node.outputs[0]), 1, std::nullopt};
    planner.add(std::make_unique<SelectStep>(selection));
}

void plan_top_k(Planner &planner, const Node &node) {
    Selection selection = {planner.view(node.inputs[0]), planner.view(node.outputs[0]),
                           planner.view(node.outputs[1]), attributes_of<rz_attr_top_k>(node).k,
                           std::nullopt};
    if (selection.k <= kRounds) {
        planner.add(std::make_unique<SelectStep>(selection));
        return;
    }
    selection.picked =
        planner.scratch(uint64_t{selection.x.max_rows()} * selection.k * sizeof(uint32_t));
    planner.add(std::make_unique<PickStep>(selection));
    planner.add(std::make_unique<RankStep>(selection));
}

} // namespace realizar::vulkan
