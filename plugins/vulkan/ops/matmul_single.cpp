#include "plugins/vulkan/ops/matmul_single.h"

#include "plugins/vulkan/ops/op.h"

#include <algorithm>

namespace realizar::vulkan {

namespace {

constexpr uint32_t kLanes = 32; // of a team
constexpr uint32_t kTeams = 8;  // of a workgroup, each with a pair of rows, or with a part of one

// Teams for a pair: more where pairs are too few for `most` workgroups, as long as each thread keeps two
// groups of a row (with one, TinyLlama's matrices were 1.5 % slower; Qwen2.5's longest gain 8 %).
uint32_t choose_split(uint32_t pairs, uint32_t groups, uint32_t most) {
    uint32_t split = 1;
    while (split < kTeams && groups >= 4 * split * kLanes &&
           uint64_t{pairs} * 2 * split <= uint64_t{most} * kTeams)
        split *= 2;
    return split;
}

// Groups of a row that each of `lanes` threads has in flight: at most 2 (with 4 the longer code costs
// more than the loads gain), the same in every round.
uint32_t choose_batch(uint32_t groups, uint32_t lanes) {
    constexpr uint32_t kMost = 2;
    const uint32_t pieces = (groups + lanes - 1) / lanes; // of a thread
    const uint32_t rounds = (pieces + kMost - 1) / kMost;
    return std::max(1u, (pieces + rounds - 1) / rounds);
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

} // namespace

uint32_t even_groups(uint32_t steps, uint32_t most) {
    const uint32_t rounds = (steps + most - 1) / most;
    return rounds == 0 ? 0 : (steps + rounds - 1) / rounds;
}

bool adjacent(const Matrix &a, const Matrix &b, uint64_t n) {
    if (!a.type || a.type != b.type || a.is_packed || b.is_packed) return false;
    bool result = a.fixed.stride == b.fixed.stride && a.fixed.groups == b.fixed.groups;
    for (uint32_t p = 0; p < 4; ++p)
        result = result && b.fixed.plane[p] - a.fixed.plane[p] ==
                               n * (a.fixed.stride / a.type->groups) * a.type->plane_bytes[p];
    return result;
}

Single::Single(const Matrix &w, const View &x, const Norm *norm, uint32_t glu)
    : w_(w), x_(norm ? norm->x : x), glu_(glu) {
    if (norm) norm_ = *norm;
}

void Single::add_reads(Step &step) const {
    w_.add_reads(step);
    step.reads(x_);
    if (norm_ && norm_->weight) step.reads(*norm_->weight);
}

MatvecSingleParams Single::params(const Recorder &r) const {
    MatvecSingleParams p = {};
    p.w = w_.resolve(r);
    p.x = r.address(x_);
    p.norm = norm_ && norm_->weight ? r.address(*norm_->weight) : 0;
    p.epsilon = norm_ ? norm_->epsilon : 0;
    return p;
}

void Single::dispatch(Recorder &r, const char *shader, const MatvecSingleParams &p, uint32_t pairs,
                      uint32_t rows, std::span<const uint32_t> constants) const {
    const Tuning &tuning = r.tuning();
    const uint32_t most = tuning.matvec_groups ? tuning.matvec_groups : 3 * r.cores();
    const uint32_t groups = x_.max_inner() / 32;
    const uint32_t split =
        tuning.matvec_split ? tuning.matvec_split : choose_split(pairs, groups, most);
    const uint32_t batch =
        tuning.matvec_batch ? tuning.matvec_batch : choose_batch(groups, split * kLanes);
    std::vector<uint32_t> all = {groups, norm_ ? 1u : 0u, batch, split};
    all.insert(all.end(), constants.begin(), constants.end());
    const uint64_t blocks = uint64_t{rows} * (x_.max_inner() / 32) / w_.type->groups;
    r.expect_bytes(blocks * w_.type->block_bytes);
    const std::string name = std::string(shader) + '_' + w_.type->suffix;
    r.dispatch_linked(name + (r.features().int_dot ? "_dot" : ""), all, p,
                      {even_groups((pairs * split + kTeams - 1) / kTeams, most)});
}

void Single::dispatch(Recorder &r, const View &y, uint64_t add) const {
    const uint32_t n = y.max_inner();
    MatvecSingleParams p = params(r);
    p.y = r.address(y);
    p.add = add;
    p.n = n;
    dispatch(r, "matvec_single", p, glu_ ? n : (n + 1) / 2, glu_ ? 2 * n : n, {&glu_, 1});
}

void Single::dispatch_qkv(Recorder &r, const Qkv &operands, uint32_t n,
                          std::span<const uint32_t> constants) const {
    MatvecSingleParams p = params(r);
    p.y = operands.y;
    p.add = operands.biases;
    p.angles = operands.angles;
    p.cells = operands.cells;
    p.k = operands.k;
    p.v = operands.v;
    p.n = n;
    dispatch(r, "matvec_qkv", p, n / 2, n, constants);
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
