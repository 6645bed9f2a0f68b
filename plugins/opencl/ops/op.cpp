#include "plugins/opencl/ops/op.h"

#include "plugins/common/uses.h"

namespace realizar::opencl {

namespace {

constexpr struct {
    uint32_t op;
    PlanFunction plan;
} kPlans[] = {
    {RZ_OP_GET_ROWS, plan_get_rows}, {RZ_OP_MATMUL, plan_matmul},
    {RZ_OP_ADD, plan_elementwise},   {RZ_OP_MUL, plan_elementwise},
    {RZ_OP_SCALE, plan_elementwise}, {RZ_OP_CLAMP, plan_elementwise},
    {RZ_OP_UNARY, plan_elementwise}, {RZ_OP_GLU, plan_elementwise},
    {RZ_OP_RMS_NORM, plan_norm},     {RZ_OP_LAYER_NORM, plan_norm},
    {RZ_OP_SOFTMAX, plan_softmax},   {RZ_OP_ROPE, plan_rope},
    {RZ_OP_KV_WRITE, plan_kv_write}, {RZ_OP_ATTENTION, plan_attention},
    {RZ_OP_ARGMAX, plan_select},     {RZ_OP_TOP_K, plan_select},
    {RZ_OP_COPY, plan_copy},         {RZ_OP_CONCAT, plan_concat},
    {RZ_OP_SAMPLE, plan_sample},
};

// Elements of one operand, and strides in units of its alignment, must stay below this.
constexpr int64_t kMaxElements = int64_t{1} << 31;
constexpr int64_t kMaxHeads = 65535;

void check_tensor(const Region &region, uint32_t index, plugin::Verdict &v) {
    const Tensor &t = region.tensors[index];
    const plugin::DTypeInfo type = plugin::dtype_info(t.dtype);
    int64_t elements = 1;
    for (uint32_t d = 0; d < t.rank; ++d) {
        elements *= t.dims[d]; // read_region bounds the product
        v.support(t.strides[d] / type.align < kMaxElements, "strides below 2^31 elements");
    }
    // A matrix may be larger: its kernels count in groups of 32 or in rows.
    const int64_t limit =
        t.role == RZ_ROLE_WEIGHT || t.role == RZ_ROLE_STATE ? kMaxElements * 32 : kMaxElements;
    v.support(elements < limit, "tensors of fewer than 2^31 elements");
    const bool blocks = plane_type(t.dtype) != nullptr && t.role == RZ_ROLE_WEIGHT;
    for (uint32_t d = 0; blocks && d + 1 < t.rank; ++d)
        v.support(t.strides[d] % type.bytes == 0 && t.offset % type.bytes == 0,
                  "views of a quantised weight at whole blocks");
}

void check_limits(const Region &region, const Node &node, plugin::Verdict &verdict) {
    plugin::for_inputs(region, node, [&](uint32_t i) { check_tensor(region, i, verdict); });
    for (const uint32_t i : node.outputs)
        check_tensor(region, i, verdict);
    if (node.op != RZ_OP_ATTENTION) return;
    verdict.support(region.input(node, 0).dims[1] <= kMaxHeads, "at most 65535 heads");
}

uint64_t types_of(const plugin::Contract &op) {
    for (const auto &row : kPlans) {
        if (row.op != op.op) continue;
        if (op.dtypes == plugin::kEveryType) return plugin::kFloats | plane_types();
        return op.dtypes;
    }
    return 0;
}

} // namespace

const plugin::Coverage kCoverage = {types_of, check_limits};

void plan_node(Planner &planner, const Node &node) {
    for (const auto &row : kPlans)
        if (row.op == node.op) return row.plan(planner, node);
    raise(RZ_INTERNAL, "operator %u has no plan", node.op);
}

} // namespace realizar::opencl
