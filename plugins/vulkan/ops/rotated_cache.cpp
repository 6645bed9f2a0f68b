#include "plugins/vulkan/ops/rotated_cache.h"

namespace realizar::vulkan {

namespace {

class HadamardStep : public Step {
  public:
    HadamardStep(const View &x, const View &y) : x_(x), y_(y) {
        reads(x);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t inner = x_.max_inner(), total = x_.rows(r.symbols) * inner;
        const uint32_t run = rotated_run(inner);
        const CopyParams p = {r.rows(x_), r.address(y_), x_.n1(), x_.n2(), inner, total};
        r.dispatch("hadamard", {run}, p, {groups_for(total / run, 64)});
    }

  private:
    View x_, y_;
};

} // namespace

void plan_hadamard(Planner &planner, const View &x, const View &y) {
    planner.add(std::make_unique<HadamardStep>(x, y));
}

} // namespace realizar::vulkan
