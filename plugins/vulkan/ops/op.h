// One operator of backend.h: the steps that compute it. What a node must look like is in
// plugins/common/contract.h; the limits of this backend are in check_limits.
#pragma once

#include "plugins/vulkan/plan/planner.h"

namespace realizar::vulkan {

using plugin::attributes_of;

using PlanFunction = void (*)(Planner &planner, const Node &node);

void plan_get_rows(Planner &planner, const Node &node);
void plan_matmul(Planner &planner, const Node &node);
void plan_elementwise(Planner &planner, const Node &node); // ADD, MUL, SCALE, UNARY, GLU, CLAMP
void plan_norm(Planner &planner, const Node &node);        // RMS_NORM, LAYER_NORM
void plan_softmax(Planner &planner, const Node &node);
void plan_rope(Planner &planner, const Node &node);
void plan_kv_write(Planner &planner, const Node &node);
void plan_attention(Planner &planner, const Node &node);
void plan_argmax(Planner &planner, const Node &node);
void plan_top_k(Planner &planner, const Node &node);
void plan_sample(Planner &planner, const Node &node);
void plan_copy(Planner &planner, const Node &node);
void plan_concat(Planner &planner, const Node &node);
void plan_route(Planner &planner, const Node &node);
void plan_expert_matmul(Planner &planner, const Node &node);
void plan_weighted_sum(Planner &planner, const Node &node);
void plan_ssm_conv(Planner &planner, const Node &node);
void plan_ssm_scan(Planner &planner, const Node &node);

// For the fusions (plan/fusion.cpp): MATMUL with an addend, a vector [N] or a tensor like the
// result; RMS_NORM with a weight from a MUL. `out` is the tensor of the last node.
void plan_matmul_add(Planner &planner, const Node &matmul, uint32_t addend, uint32_t out);
void plan_norm_mul(Planner &planner, const Node &norm, uint32_t weight, uint32_t out);
// Two MATMULs of one x with weights, and the GLU of their results; ROPE and the KV_WRITE of its result.
void plan_gated(Planner &planner, const Node &gate, const Node &up, const Node &glu);
void plan_rope_write(Planner &planner, const Node &rope, const Node &write);

// Rotation of rows by ROPE: the angles of all positions, made by a step before.
struct Rotation {
    View angles;
    uint32_t pairs = 0;
    bool halves = false;

    // Whether rotated_four (shaders/include/rotate.glsl) may take them.
    bool in_fours() const { return pairs % 4 == 0; }
};
// Whether rows can be read four elements at a time.
inline bool in_fours(const Rows &rows, uint32_t inner) {
    return inner % 4 == 0 && rows.base % 16 == 0 && (rows.s0 | rows.s1 | rows.s2) % 4 == 0;
}
Rotation plan_rotation(Planner &planner, const Node &rope);

// Steps for one node.
void plan_node(Planner &planner, const Node &node);

// What this backend computes of the contracts, within sizes that fit the 32-bit arithmetic of the
// shaders.
extern const plugin::Coverage kCoverage;

} // namespace realizar::vulkan
