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
    kAttention, kUnary, kGlu, kSoftmax, kArgmax, kTopK, kCopy;

// RZ_OK, RZ_UNSUPPORTED or RZ_INVALID_ARGUMENT with a sentence about node `index`.
rz_code check_node(const Region &region, uint32_t index, rz_error *err);
// nullptr for an op that this backend lacks.
const Op *find_op(uint32_t id);

WeightType weight_type(rz_dtype dtype); // of a type in kWeights or kCaches

} // namespace realizar::cpu
