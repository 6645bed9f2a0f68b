// One operator of backend.h: the steps that compute it.
#pragma once

#include "plugins/common/contract.h"
#include "plugins/cpu/planner.h"
#include "plugins/cpu/support.h"

namespace realizar::cpu {

// What the operator demands of a node is in plugins/common/contract.h.
struct Op {
    uint32_t id;
    bool in_place; // an output may have the layout of an input
    void (*plan)(Planner &planner, const Node &node);
};

extern const Op kGetRows, kMatmul, kAdd, kMul, kScale, kRmsNorm, kLayerNorm, kRope, kKvWrite,
    kAttention, kUnary, kGlu, kSoftmax, kArgmax, kTopK, kCopy, kClamp, kConcat, kRoute,
    kExpertMatmul, kWeightedSum, kSsmConv, kSsmScan, kSample;

// What this backend computes of the contracts: with `decoders` lent by the host, weights of all types.
// Its own objection: an output that overlaps an input other than element by element, because tiles run
// in any order.
const plugin::Coverage &coverage(const rz_ext_decode *decoders);
// nullptr for an op that this backend lacks.
const Op *find_op(uint32_t id);

// Of a type with kernels; kWeightTypes for any other, whose rows the host decodes (ops/lent.h).
WeightType weight_type(rz_dtype dtype);

} // namespace realizar::cpu
