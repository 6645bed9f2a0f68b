// CONCAT.
#include "plugins/vulkan/ops/op.h"

namespace realizar::vulkan {

namespace {

class ConcatStep : public Step {
  public:
    ConcatStep(const View &a, const View &b, const View &y) : a_(a), b_(b), y_(y) {
        reads(a);
        reads(b);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t total = y_.rows(r.symbols) * y_.max_inner();
        Rows b = r.rows(b_);
        if (b_.n1() == 1) b.s1 = 0; // it repeats
        if (b_.n2() == 1) b.s2 = 0;
        const ConcatParams p = {
            r.rows(a_), b, r.address(y_), a_.n1(), a_.n2(), a_.max_inner(), b_.max_inner(), total};
        r.dispatch("concat", {}, p, {groups_for(total, 256)});
    }

  private:
    View a_, b_, y_;
};

} // namespace

void plan_concat(Planner &planner, const Node &node) {
    planner.add(std::make_unique<ConcatStep>(
        planner.view(node.inputs[0]), planner.view(node.inputs[1]), planner.view(node.outputs[0])));
}

} // namespace realizar::vulkan
