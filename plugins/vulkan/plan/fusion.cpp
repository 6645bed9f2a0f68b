#include "plugins/vulkan/plan/fusion.h"

#include "plugins/common/patterns.h"
#include "plugins/common/qkv.h"
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/ops/qkv.h"

#include <algorithm>

namespace realizar::vulkan {

namespace {

using plugin::Uses;

struct Fusion {
    const char *name;
    // The nodes of the pattern that begins at `node`, rising; empty: no match.
    std::vector<uint32_t> (*match)(const Uses &uses, uint32_t node);
    void (*plan)(Planner &planner, const FusedGroup &group);
};

const Node &node_of(const Planner &planner, const FusedGroup &group, size_t i) {
    return planner.region().nodes[group.nodes[i]];
}

void plan_norm_mul_group(Planner &planner, const FusedGroup &group) {
    const Node &norm = node_of(planner, group, 0), &mul = node_of(planner, group, 1);
    plan_norm_mul(planner, norm, mul.inputs[1], mul.outputs[0]);
}

void plan_matmul_add_group(Planner &planner, const FusedGroup &group) {
    const Node &matmul = node_of(planner, group, 0), &add = node_of(planner, group, 1);
    plan_matmul_add(planner, matmul, plugin::other_operand(add, matmul.outputs[0]), add.outputs[0]);
}

bool is_weight(const Tensor &weight) { return weight.role == RZ_ROLE_WEIGHT; }

std::vector<uint32_t> match_gated(const Uses &uses, uint32_t index) {
    return plugin::match_gated(uses, index, is_weight);
}

void plan_gated_group(Planner &planner, const FusedGroup &group) {
    const Node &first = node_of(planner, group, 0), &second = node_of(planner, group, 1);
    const Node &glu = node_of(planner, group, 2);
    const bool in_order = glu.inputs[0] == first.outputs[0];
    plan_gated(planner, in_order ? first : second, in_order ? second : first, glu);
}

void plan_rope_write_group(Planner &planner, const FusedGroup &group) {
    plan_rope_write(planner, node_of(planner, group, 0), node_of(planner, group, 1));
}

bool is_in_planes(const Tensor &weight) { return is_weight(weight) && plane_type(weight.dtype); }

std::vector<uint32_t> match_qkv(const Uses &uses, uint32_t index) {
    return plugin::match_qkv(uses, index, is_in_planes);
}

void plan_qkv_group(Planner &planner, const FusedGroup &group) { plan_qkv(planner, group.nodes); }

constexpr Fusion kFusions[] = {
    {"norm * weight", plugin::match_norm_mul, plan_norm_mul_group},
    {"Q, K and V up to the cache", match_qkv, plan_qkv_group},
    {"matmul + bias or residual", plugin::match_matmul_add, plan_matmul_add_group},
    {"gate and up + GLU", match_gated, plan_gated_group},
    {"rope + KV write", plugin::match_rope_write, plan_rope_write_group},
};

void plan_single(Planner &planner, const FusedGroup &group) {
    plan_node(planner, node_of(planner, group, 0));
}

} // namespace

std::vector<FusedGroup> find_groups(const Region &region, bool fuse) {
    const auto count = static_cast<uint32_t>(region.nodes.size());
    const Uses uses(region);
    std::vector<bool> taken(count);
    std::vector<FusedGroup> at(count); // by last node
    for (uint32_t i = 0; i < count; ++i) {
        if (taken[i]) continue;
        FusedGroup group{{i}, plan_single};
        for (const Fusion &fusion : kFusions) {
            if (!fuse) break;
            std::vector<uint32_t> nodes = fusion.match(uses, i);
            const bool free = std::none_of(nodes.begin(), nodes.end(),
                                           [&](uint32_t node) { return taken[node]; });
            if (nodes.empty() || !free) continue;
            group = {std::move(nodes), fusion.plan};
            break;
        }
        for (const uint32_t node : group.nodes)
            taken[node] = true;
        at[group.nodes.back()] = std::move(group);
    }
    std::erase_if(at, [](const FusedGroup &group) { return group.nodes.empty(); });
    return at;
}

} // namespace realizar::vulkan
