#include "core/reference/ref_ops.h"

#include <algorithm>
#include <iterator>

namespace realizar {
namespace {

struct Row {
    uint32_t op;
    RefFunction run;
};

constexpr Row kOps[] = {
    {RZ_OP_GET_ROWS, ref_get_rows},
    {RZ_OP_MATMUL, ref_matmul},
    {RZ_OP_ADD, ref_add},
    {RZ_OP_MUL, ref_mul},
    {RZ_OP_SCALE, ref_scale},
    {RZ_OP_RMS_NORM, ref_rms_norm},
    {RZ_OP_LAYER_NORM, ref_layer_norm},
    {RZ_OP_ROPE, ref_rope},
    {RZ_OP_KV_WRITE, ref_kv_write},
    {RZ_OP_ATTENTION, ref_attention},
    {RZ_OP_UNARY, ref_unary},
    {RZ_OP_GLU, ref_glu},
    {RZ_OP_SOFTMAX, ref_softmax},
    {RZ_OP_ARGMAX, ref_argmax},
    {RZ_OP_TOP_K, ref_top_k},
    {RZ_OP_COPY, ref_copy},
    {RZ_OP_CLAMP, ref_clamp},
    {RZ_OP_CONCAT, ref_concat},
    {RZ_OP_ROUTE, ref_route},
    {RZ_OP_EXPERT_MATMUL, ref_expert_matmul},
    {RZ_OP_WEIGHTED_SUM, ref_weighted_sum},
    {RZ_OP_SSM_CONV, ref_ssm_conv},
    {RZ_OP_SSM_SCAN, ref_ssm_scan},
    {RZ_OP_SAMPLE, ref_sample},
};
static_assert(std::size(kOps) == RZ_OP_COUNT - 1, "every op of backend.h has its reference");

} // namespace

RefFunction find_ref_op(uint32_t op) {
    const auto row = std::ranges::find(kOps, op, &Row::op);
    return row == std::end(kOps) ? nullptr : row->run;
}

} // namespace realizar
