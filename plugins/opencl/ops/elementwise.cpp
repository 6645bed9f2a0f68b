// ADD, MUL, SCALE, CLAMP, UNARY, GLU; CONCAT.
#include "plugins/opencl/ops/op.h"

namespace realizar::opencl {

namespace {

// Of kernels/elementwise.cl.
constexpr uint32_t kAdd = 0, kMul = 1, kScale = 2, kClamp = 3, kUnary = 16, kGlu = 32;

struct Operation {
    uint32_t code = kAdd;
    float scale = 1, bias = 0;
};

Operation operation_of(const Node &node) {
    switch (node.op) {
    case RZ_OP_ADD: return {};
    case RZ_OP_MUL: return {kMul};
    case RZ_OP_SCALE: {
        const auto a = attributes_of<rz_attr_scale>(node);
        return {kScale, a.scale, a.bias};
    }
    case RZ_OP_CLAMP: {
        const auto a = attributes_of<rz_attr_clamp>(node);
        return {kClamp, a.low, a.high};
    }
    default:
        return {(node.op == RZ_OP_GLU ? kGlu : kUnary) + attributes_of<rz_attr_unary>(node).kind};
    }
}

// The result of a GLU in 8 bits, in one launch.
Maker glu_maker(const View &a, const View &b, uint32_t kind) {
    return {{a, b}, [=](Recorder &r, const Quantised &q) {
                const uint32_t inner = a.max_inner(), rows = a.rows(r.symbols);
                const uint64_t at = r.at(q.memory);
                const QuantizeParams p = {r.rows(a), r.rows(b), at,   at + q.scales, a.n1(),
                                          a.n2(),    inner,     rows, 1 + kind,      0};
                r.launch("quantize", "", p, {r.buffer(a), r.buffer(b), r.buffer(q.memory)},
                         {groups_for(uint64_t{rows} * inner / 4, 256)});
            }};
}

bool is_steady(const Planner &planner, uint32_t tensor) {
    return planner.region().tensors[tensor].role != RZ_ROLE_STATE;
}

} // namespace

void plan_elementwise(Planner &planner, const Node &node) {
    const Operation operation = operation_of(node);
    const View a = planner.view(node.inputs[0]), y = planner.view(node.outputs[0]);
    const bool two = node.inputs.size() > 1;
    const View b = two ? planner.view(node.inputs[1]) : a;
    const bool skips = node.op == RZ_OP_GLU && is_steady(planner, node.inputs[0]) &&
                       is_steady(planner, node.inputs[1]) &&
                       planner.only_taken_quantised(node.outputs[0]);
    const bool single = planner.fits_single(y); // then one row is taken as floats
    if (skips) planner.offer(node.outputs[0], glu_maker(a, b, operation.code - kGlu));
    planner.add({{a, b, y}, [=](Recorder &r) {
                     const uint32_t inner = a.inner(r.symbols), rows = a.rows(r.symbols);
                     const uint32_t total = rows * inner;
                     if (skips && rows <= kMatvecRows && !(single && rows == 1)) return;
                     const ElementwiseParams p = {r.rows(a),
                                                  two ? r.rows(b) : Rows{},
                                                  r.at(y),
                                                  a.n1(),
                                                  a.n2(),
                                                  inner,
                                                  total,
                                                  operation.code,
                                                  operation.scale,
                                                  operation.bias,
                                                  0};
                     r.launch("elementwise", "", p, {r.buffer(a), r.buffer(b), r.buffer(y)},
                              {groups_for(total, 256)});
                 }});
}

void plan_concat(Planner &planner, const Node &node) {
    const View a = planner.view(node.inputs[0]), b = planner.view(node.inputs[1]);
    const View y = planner.view(node.outputs[0]);
    planner.add({{a, b, y}, [=](Recorder &r) {
                     const uint32_t total = y.rows(r.symbols) * y.max_inner();
                     // Where b repeats, its stride is taken as 0.
                     Rows rows = r.rows(b);
                     if (b.n1() == 1 && a.n1() > 1) rows.s1 = 0;
                     if (b.n2() == 1 && a.n2() > 1) rows.s2 = 0;
                     const ConcatParams p = {r.rows(a),     rows,          r.at(y), a.n1(), a.n2(),
                                             a.max_inner(), b.max_inner(), total,   0};
                     r.launch("concat", "", p, {r.buffer(a), r.buffer(b), r.buffer(y)},
                              {groups_for(total, 256)});
                 }});
}

} // namespace realizar::opencl
