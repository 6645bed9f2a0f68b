#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

namespace {

constexpr const Op *kAll[] = {&kGetRows,     &kMatmul,    &kAdd,     &kMul,     &kScale,
                              &kRmsNorm,     &kLayerNorm, &kRope,    &kKvWrite, &kAttention,
                              &kUnary,       &kGlu,       &kSoftmax, &kArgmax,  &kTopK,
                              &kCopy,        &kClamp,     &kConcat,  &kRoute,   &kExpertMatmul,
                              &kWeightedSum, &kSsmConv,   &kSsmScan, &kSample};

} // namespace

const Op *find_op(uint32_t id) {
    for (const Op *op : kAll)
        if (op->id == id) return op;
    return nullptr;
}

namespace {

// What there are kernels for.
uint64_t own_types_of(const plugin::Contract &op) {
    if (!find_op(op.op)) return 0;
    if (op.dtypes != plugin::kEveryType) return op.dtypes;
    uint64_t own = 0;
    for (rz_dtype dtype = 0; dtype < 64; ++dtype)
        if (weight_type(dtype) != kWeightTypes) own |= RZ_DTYPE_BIT(dtype);
    return own;
}

// With decoders of the host.
uint64_t types_of(const plugin::Contract &op) { return find_op(op.op) ? op.dtypes : 0; }

void check_overlap(const Region &region, const Node &node, Verdict &v) {
    if (node.op == RZ_OP_KV_WRITE) return; // the contract speaks of it
    const Op &op = *find_op(node.op);
    for (const uint32_t o : node.outputs)
        for (const uint32_t i : node.inputs) {
            if (i == RZ_NONE || region.tensors[i].storage != region.tensors[o].storage) continue;
            const View in(region, i), out(region, o);
            const bool same = op.in_place && in.same_layout(out);
            v.support(same || in.disjoint(out), "an output that does not overlap an input");
        }
}

} // namespace

const plugin::Coverage &coverage(const rz_ext_decode *decoders) {
    static constexpr plugin::Coverage kAll = {types_of, check_overlap};
    static constexpr plugin::Coverage kOwn = {own_types_of, check_overlap};
    return decoders ? kAll : kOwn;
}

WeightType weight_type(rz_dtype dtype) {
    switch (dtype) {
    case RZ_DTYPE_F32: return kF32;
    case RZ_DTYPE_F16: return kF16;
    case RZ_DTYPE_BF16: return kBF16;
    case RZ_DTYPE_Q8_0: return kQ8_0;
    case RZ_DTYPE_Q4_0: return kQ4_0;
    case RZ_DTYPE_Q4_K: return kQ4_K;
    case RZ_DTYPE_Q6_K: return kQ6_K;
    case RZ_DTYPE_Q4_1: return kQ4_1;
    case RZ_DTYPE_Q5_0: return kQ5_0;
    case RZ_DTYPE_Q5_1: return kQ5_1;
    case RZ_DTYPE_Q3_K: return kQ3_K;
    case RZ_DTYPE_Q5_K: return kQ5_K;
    case RZ_DTYPE_IQ4_NL: return kIQ4_NL;
    case RZ_DTYPE_IQ4_XS: return kIQ4_XS;
    case RZ_DTYPE_MXFP4: return kMXFP4;
    default: return kWeightTypes;
    }
}

} // namespace realizar::cpu
