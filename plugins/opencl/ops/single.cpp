#include "plugins/opencl/ops/single.h"

#include <algorithm>

namespace realizar::opencl {

namespace {

// Groups of a row that each of 32 threads has under way: at most 2 (longer code costs more than loads
// gain), the same in every round.
uint32_t choose_batch(uint32_t groups) {
    constexpr uint32_t kLanes = 32, kMost = 2;
    const uint32_t pieces = (groups + kLanes - 1) / kLanes; // of a thread
    const uint32_t rounds = (pieces + kMost - 1) / kMost;
    return std::max(1u, (pieces + rounds - 1) / rounds);
}

// Workgroups, `most` of them, for `steps` equal pieces of work: all get as many, few are idle at the end.
uint32_t even_groups(uint32_t steps, uint32_t most) {
    const uint32_t rounds = (steps + most - 1) / most;
    return rounds == 0 ? 0 : (steps + rounds - 1) / rounds;
}

std::string define(const char *name, uint32_t value) {
    return std::string(" -D") + name + '=' + std::to_string(value);
}

} // namespace

Single::Single(const Planner &planner, const Matrix &w, uint32_t x) : w_(w), x_(planner.view(x)) {
    if (const FoldedNorm *norm = planner.find_norm(x)) {
        norm_ = *norm;
        x_ = norm->x;
    }
}

void Single::add_touches(std::vector<View> &touches) const {
    touches.push_back(w_.is_packed ? w_.packed : w_.view);
    touches.push_back(x_);
    if (norm_ && norm_->weight) touches.push_back(*norm_->weight);
}

SingleParams Single::params(const Recorder &r) const {
    return {w_.planes(r), r.at(x_), norm_ && norm_->weight ? r.at(*norm_->weight) : kNone,
            norm_ ? norm_->epsilon : 0, 0};
}

cl_mem Single::norm(const Recorder &r) const {
    return norm_ && norm_->weight ? r.buffer(*norm_->weight) : x(r);
}

std::string Single::options(const Recorder &r) const {
    const uint32_t groups = x_.max_inner() / 32, tuned = r.tuning().single_batch;
    std::string options = w_.option();
    // Long code and loops of known length are worth it where programs are built fast.
    constexpr uint32_t kStep = 64;
    if (r.on_cpu())
        options +=
            define("BATCH", 1) + define("CAPACITY", static_cast<uint32_t>(align_up(groups, kStep)));
    else
        options += define("BATCH", tuned ? tuned : choose_batch(groups)) + define("GROUPS", groups);
    return options + define("NORM", norm_ ? 1 : 0);
}

Grid Single::grid(const Recorder &r, uint32_t pairs) const {
    constexpr uint32_t kTeams = 8; // of a workgroup, each with a pair of rows
    const uint32_t tuned = r.tuning().single_groups;
    const uint32_t most = (tuned ? tuned : 3) * r.units();
    return {even_groups((pairs + kTeams - 1) / kTeams, most)};
}

void Single::launch(Recorder &r, const std::vector<MatmulOperands> &parts) const {
    MatvecSingleParams p = {params(r), {}, 0, 0};
    cl_mem y[kJoinedMatrices], add[kJoinedMatrices];
    for (size_t i = 0; i < kJoinedMatrices; ++i) {
        const MatmulOperands &o = parts[std::min(i, parts.size() - 1)];
        if (i < parts.size()) p.n += o.y.max_inner();
        p.segment[i] = {r.at(o.y), o.add ? r.at(*o.add) : kNone, p.n, 0};
        y[i] = r.buffer(o.y);
        add[i] = r.buffer(o.add.value_or(o.y));
    }
    r.launch_joined("matvec_single",
                    options(r) + define("SEGMENTS", static_cast<uint32_t>(parts.size())) +
                        define("GLU", 0),
                    p, {weights(r)}, {x(r), norm(r), y[0], y[1], y[2], add[0], add[1], add[2]},
                    grid(r, (p.n + 1) / 2));
}

void Single::launch_gated(Recorder &r, const View &y, uint32_t kind) const {
    MatvecSingleParams p = {params(r), {}, y.max_inner(), 0};
    p.segment[0] = {r.at(y), kNone, p.n, 0};
    const cl_mem to = r.buffer(y);
    r.launch_joined("matvec_single", options(r) + define("SEGMENTS", 1) + define("GLU", 1 + kind),
                    p, {weights(r)}, {x(r), norm(r), to, to, to, to, to, to}, grid(r, p.n));
}

void plan_gated(Planner &planner, const Node &gate, const Node &up, const Node &glu) {
    const uint32_t tensor = gate.inputs[1];
    const View x = planner.view(tensor), y = planner.view(glu.outputs[0]);
    const Matrix first = planner.matrix(gate.inputs[0]), second = planner.matrix(up.inputs[0]);
    const bool joined = planner.fits_single(x) && first.is_before(second, y.max_inner());
    if (joined) planner.set_not_single(x);
    plan_products(planner, {{&gate, RZ_NONE, gate.outputs[0]}, {&up, RZ_NONE, up.outputs[0]}});
    plan_elementwise(planner, glu);
    planner.set_not_single(std::nullopt);
    if (!joined) return;
    const Single single(planner, first, tensor);
    const uint32_t kind = attributes_of<rz_attr_unary>(glu).kind;
    std::vector<View> touches = {x, y, second.view};
    single.add_touches(touches);
    planner.add({touches, [=](Recorder &r) {
                     if (x.rows(r.symbols) == 1) single.launch_gated(r, y, kind);
                 }});
}

} // namespace realizar::opencl
