#include "plugins/vulkan/ops/matmul_single.h"

#include "plugins/vulkan/ops/op.h"

namespace realizar::vulkan {

namespace {

// Workgroups for `steps` equal pieces of work: all get as many, and few are idle at the end.
uint32_t even_groups(uint32_t steps) {
    constexpr uint32_t kWorkgroups = 264; // 2 for each of the 132 cores of the largest GPUs
    const uint32_t rounds = (steps + kWorkgroups - 1) / kWorkgroups;
    return rounds == 0 ? 0 : (steps + rounds - 1) / rounds;
}

// The gate and up halves of a feed-forward block and their GLU, for a single vector.
class GatedStep : public Step {
  public:
    GatedStep(const Matrix &gate, const Matrix &up, const View &x, const Norm *norm, uint32_t kind,
              const View &y)
        : x_(x), single_(gate, x, norm, 1 + kind), y_(y) {
        reads(x);
        single_.add_reads(*this);
        up.add_reads(*this);
        writes(y);
    }

    void record(Recorder &r) const override {
        if (runs_single(x_, r.symbols)) single_.dispatch(r, y_, 0);
    }

  private:
    View x_;
    Single single_;
    View y_;
};

// Whether b's rows come behind the n rows of a in the same planes.
bool adjacent(const Matrix &a, const Matrix &b, uint64_t n) {
    if (!a.type || a.type != b.type || a.is_packed || b.is_packed) return false;
    bool result = a.fixed.stride == b.fixed.stride && a.fixed.groups == b.fixed.groups;
    for (uint32_t p = 0; p < 4; ++p)
        result = result && b.fixed.plane[p] - a.fixed.plane[p] ==
                               n * (a.fixed.stride / a.type->groups) * a.type->plane_bytes[p];
    return result;
}

} // namespace

Single::Single(const Matrix &w, const View &x, const Norm *norm, uint32_t glu)
    : w_(w), x_(norm ? norm->x : x), glu_(glu) {
    if (norm) norm_ = *norm;
}

void Single::add_reads(Step &step) const {
    w_.add_reads(step);
    step.reads(x_);
    if (norm_ && norm_->weight) step.reads(*norm_->weight);
}

void Single::dispatch(Recorder &r, const View &y, uint64_t add) const {
    const uint32_t n = y.max_inner(), outputs = glu_ ? 8 : 16; // of a workgroup at a time
    const MatvecSingleParams p = {w_.resolve(r),
                                  r.address(x_),
                                  norm_ && norm_->weight ? r.address(*norm_->weight) : 0,
                                  r.address(y),
                                  add,
                                  n,
                                  norm_ ? norm_->epsilon : 0};
    const std::string suffix = w_.type->suffix;
    r.dispatch("matvec_single_" + suffix + (r.features().int_dot ? "_dot" : ""),
               {x_.max_inner() / 32, norm_ ? 1u : 0u, glu_}, p,
               {even_groups((n + outputs - 1) / outputs)});
}

void plan_gated(Planner &planner, const Node &gate, const Node &up, const Node &glu) {
    const uint32_t x = gate.inputs[1];
    const View view = planner.view(x);
    const Matrix first = planner.matrix(gate.inputs[0]), second = planner.matrix(up.inputs[0]);
    const uint64_t n = planner.view(glu.outputs[0]).max_inner();
    const bool joined = adjacent(first, second, n) && fits_single(view);
    if (joined) planner.set_not_single(view);
    plan_matmul(planner, gate);
    plan_matmul(planner, up);
    plan_elementwise(planner, glu);
    planner.set_not_single(std::nullopt);
    if (joined)
        planner.add(std::make_unique<GatedStep>(first, second, view, planner.find_norm(x),
                                                attributes_of<rz_attr_unary>(glu).kind,
                                                planner.view(glu.outputs[0])));
}

} // namespace realizar::vulkan
