// RMS_NORM, LAYER_NORM, SOFTMAX: a workgroup for each row.
#include "plugins/opencl/ops/op.h"

namespace realizar::opencl {

namespace {

struct Norm {
    bool layer;
    float epsilon;
    View x;
    std::optional<View> weight, bias;
};

// `y`: floats; or `q` in 8 bits.
void launch_norm(Recorder &r, const Norm &n, const View *y, const Quantised *q) {
    const uint32_t rows = n.x.rows(r.symbols);
    const View &out = q ? q->memory : *y;
    const NormParams p = {r.rows(n.x),
                          n.weight ? r.at(*n.weight) : kNone,
                          n.bias ? r.at(*n.bias) : kNone,
                          r.at(out),
                          r.at(out),
                          r.at(out) + (q ? q->scales : 0),
                          n.x.n1(),
                          n.x.n2(),
                          n.x.inner(r.symbols),
                          rows,
                          n.layer ? 1u : 0u,
                          n.epsilon};
    r.launch("norm", q ? "-DQUANTIZE" : "", p,
             {r.buffer(n.x), r.buffer(n.weight.value_or(n.x)), r.buffer(n.bias.value_or(n.x)),
              r.buffer(out)},
             {groups_for(rows, 1)});
}

void plan(Planner &planner, const Norm &norm, uint32_t source, uint32_t out) {
    const View y = planner.view(out);
    const bool skips =
        planner.region().tensors[source].role != RZ_ROLE_STATE && planner.only_taken_quantised(out);
    std::vector<View> operands = {norm.x};
    if (norm.weight) operands.push_back(*norm.weight);
    if (norm.bias) operands.push_back(*norm.bias);
    // Where one row is taken as floats, only an RMS_NORM can move into those that take it.
    const bool single = planner.fits_single(y);
    const bool folds = skips && single && !norm.layer && planner.fits_single(norm.x) &&
                       (!norm.weight || norm.weight->offset() % 16 == 0);
    if (folds) planner.share_norm(out, {norm.x, norm.weight, norm.epsilon});
    if (skips)
        planner.offer(out, {operands, [norm](Recorder &r, const Quantised &q) {
                                launch_norm(r, norm, nullptr, &q);
                            }});
    operands.push_back(y);
    const uint32_t first = skips ? folds || !single ? 1 : 2 : 0; // rows from which it is skipped
    planner.add({operands, [=](Recorder &r) {
                     const uint32_t rows = norm.x.rows(r.symbols);
                     if (skips && rows >= first && rows <= kMatvecRows) return;
                     launch_norm(r, norm, &y, nullptr);
                 }});
}

} // namespace

void plan_norm(Planner &planner, const Node &node) {
    const bool layer = node.op == RZ_OP_LAYER_NORM;
    plan(planner,
         {layer, attributes_of<rz_attr_norm>(node).epsilon, planner.view(node.inputs[0]),
          planner.optional_view(node, 1), layer ? planner.optional_view(node, 2) : std::nullopt},
         node.inputs[0], node.outputs[0]);
}

void plan_norm_mul(Planner &planner, const Node &norm, uint32_t weight, uint32_t out) {
    plan(planner,
         {false, attributes_of<rz_attr_norm>(norm).epsilon, planner.view(norm.inputs[0]),
          planner.view(weight), std::nullopt},
         norm.inputs[0], out);
}

void plan_softmax(Planner &planner, const Node &node) {
    const View x = planner.view(node.inputs[0]), y = planner.view(node.outputs[0]);
    const float scale = attributes_of<rz_attr_scale>(node).scale;
    planner.add({{x, y}, [=](Recorder &r) {
                     const uint32_t rows = x.rows(r.symbols);
                     const SoftmaxParams p = {r.rows(x),          r.at(y), x.n1(), x.n2(),
                                              x.inner(r.symbols), rows,    scale,  0};
                     r.launch("softmax", "", p, {r.buffer(x), r.buffer(y)}, {groups_for(rows, 1)});
                 }});
}

} // namespace realizar::opencl
