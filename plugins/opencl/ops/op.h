// One operator of backend.h: the steps that compute it. What a node must look like is in
// plugins/common/contract.h; the limits of this backend are in check_limits.
#pragma once

#include "plugins/opencl/plan/planner.h"

namespace realizar::opencl {

using plugin::attributes_of;

using PlanFunction = void (*)(Planner &planner, const Node &node);

void plan_get_rows(Planner &planner, const Node &node);
void plan_matmul(Planner &planner, const Node &node);
void plan_elementwise(Planner &planner, const Node &node); // ADD, MUL, SCALE, CLAMP, UNARY, GLU
void plan_norm(Planner &planner, const Node &node);        // RMS_NORM, LAYER_NORM
void plan_softmax(Planner &planner, const Node &node);
void plan_rope(Planner &planner, const Node &node);
void plan_kv_write(Planner &planner, const Node &node);
void plan_attention(Planner &planner, const Node &node);
void plan_select(Planner &planner, const Node &node); // ARGMAX, TOP_K
void plan_sample(Planner &planner, const Node &node);
void plan_copy(Planner &planner, const Node &node);
void plan_concat(Planner &planner, const Node &node);

// For the fusions (plan/fusion.cpp). `out` is the tensor of the last node.
// RMS_NORM with a weight from a MUL.
void plan_norm_mul(Planner &planner, const Node &norm, uint32_t weight, uint32_t out);
// A MATMUL with an addend: a vector [N], a tensor like the result, or RZ_NONE.
struct Product {
    const Node *matmul;
    uint32_t add, out;
};
constexpr size_t kJoinedMatrices = 3;
// Products of one x; of several (at most kJoinedMatrices) all weights are of one type in planes.
void plan_products(Planner &planner, const std::vector<Product> &products);
// GLU of two products whose weights are of one type in planes.
void plan_gated(Planner &planner, const Node &gate, const Node &up, const Node &glu);
// Nodes of plugins/common/qkv.h with weights in planes.
void plan_qkv(Planner &planner, const std::vector<uint32_t> &nodes);
// y = x with all rows rotated like those of a Q4_0 cache, which is also the way back; y is contiguous.
void launch_hadamard(Recorder &r, const View &x, const View &y);
// Elements that are rotated together in rows of `inner`, a multiple of 32.
inline uint32_t rotated_run(uint32_t inner) { return inner % 64 == 0 ? 64 : 32; }
// ROPE and the KV_WRITE of its result.
void plan_rope_write(Planner &planner, const Node &rope, const Node &write);

// Rotation of rows by ROPE: the angles of all positions, made by a step before.
struct Rotation {
    View angles;
    uint32_t pairs = 0;
    bool halves = false;
};
Rotation plan_rotation(Planner &planner, const Node &rope);

// Steps for one node.
void plan_node(Planner &planner, const Node &node);

// What this backend computes of the contracts, within sizes that fit the 32-bit arithmetic of the
// kernels.
extern const plugin::Coverage kCoverage;

} // namespace realizar::opencl
