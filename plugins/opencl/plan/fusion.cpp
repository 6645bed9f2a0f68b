#include "plugins/opencl/plan/fusion.h"

#include "plugins/common/patterns.h"
#include "plugins/common/qkv.h"
#include "plugins/opencl/ops/op.h"

#include <algorithm>

namespace realizar::opencl {

namespace {

using plugin::Uses;

struct Fusion {
    const char *name;
    bool early; // see FusedGroup
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

// The ADD of a bias, a constant vector, behind a MATMUL.
std::optional<uint32_t> bias_of(const Uses &uses, const Node &matmul) {
    const Region &region = uses.region();
    const uint32_t product = matmul.outputs[0];
    const auto reader = uses.only_reader(product);
    if (!reader || region.nodes[*reader].op != RZ_OP_ADD) return std::nullopt;
    const Node &add = region.nodes[*reader];
    const bool bias = add.inputs[0] == product && region.input(add, 1).role == RZ_ROLE_WEIGHT &&
                      plugin::is_vector(region.input(add, 1), region.output(matmul, 0).inner());
    return bias ? reader : std::nullopt;
}

// Two or three MATMULs of one x with weights of one type in planes, each with its bias if it has one:
// Q, K and V, or gate and up.
std::vector<uint32_t> match_joined(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &first = region.nodes[index];
    const auto fits = [&](const Node &node) {
        if (node.op != RZ_OP_MATMUL || node.inputs[1] != first.inputs[1]) return false;
        const Tensor &w = region.input(node, 0);
        return w.role == RZ_ROLE_WEIGHT && plane_type(w.dtype) &&
               w.dtype == region.input(first, 0).dtype;
    };
    if (!fits(first) || region.input(first, 1).role == RZ_ROLE_STATE) return {};
    std::vector<uint32_t> nodes;
    size_t parts = 0;
    for (uint32_t i = index; i < region.nodes.size() && parts < kJoinedMatrices; ++i) {
        if (!fits(region.nodes[i])) continue;
        ++parts;
        nodes.push_back(i);
        if (const auto bias = bias_of(uses, region.nodes[i])) nodes.push_back(*bias);
    }
    if (parts < 2) return {};
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

void plan_joined_group(Planner &planner, const FusedGroup &group) {
    std::vector<Product> products;
    for (const uint32_t i : group.nodes) {
        const Node &node = planner.region().nodes[i];
        if (node.op == RZ_OP_MATMUL) products.push_back({&node, RZ_NONE, node.outputs[0]});
    }
    for (const uint32_t i : group.nodes) {
        const Node &node = planner.region().nodes[i];
        if (node.op != RZ_OP_ADD) continue;
        for (Product &product : products)
            if (product.matmul->outputs[0] == node.inputs[0])
                product = {product.matmul, node.inputs[1], node.outputs[0]};
    }
    plan_products(planner, products);
}

bool is_in_planes(const Tensor &weight) {
    return weight.role == RZ_ROLE_WEIGHT && plane_type(weight.dtype);
}

std::vector<uint32_t> match_qkv(const Uses &uses, uint32_t index) {
    return plugin::match_qkv(uses, index, is_in_planes);
}

void plan_qkv_group(Planner &planner, const FusedGroup &group) { plan_qkv(planner, group.nodes); }

std::vector<uint32_t> match_gated(const Uses &uses, uint32_t index) {
    return plugin::match_gated(uses, index, is_in_planes);
}

void plan_gated_group(Planner &planner, const FusedGroup &group) {
    const Node &first = node_of(planner, group, 0), &second = node_of(planner, group, 1);
    const Node &glu = node_of(planner, group, 2);
    const bool in_order = glu.inputs[0] == first.outputs[0];
    plan_gated(planner, in_order ? first : second, in_order ? second : first, glu);
}

void plan_matmul_add_group(Planner &planner, const FusedGroup &group) {
    const Node &matmul = node_of(planner, group, 0), &add = node_of(planner, group, 1);
    const uint32_t addend = plugin::other_operand(add, matmul.outputs[0]);
    plan_products(planner, {{&matmul, addend, add.outputs[0]}});
}

void plan_rope_write_group(Planner &planner, const FusedGroup &group) {
    plan_rope_write(planner, node_of(planner, group, 0), node_of(planner, group, 1));
}

constexpr Fusion kFusions[] = {
    {"norm * weight", false, plugin::match_norm_mul, plan_norm_mul_group},
    {"Q, K and V up to the cache", false, match_qkv, plan_qkv_group},
    {"gate and up + GLU", false, match_gated, plan_gated_group},
    {"matrices with one operand", true, match_joined, plan_joined_group},
    {"matmul + bias or residual", false, plugin::match_matmul_add, plan_matmul_add_group},
    {"rope + KV write", false, plugin::match_rope_write, plan_rope_write_group},
};

void plan_single(Planner &planner, const FusedGroup &group) {
    plan_node(planner, node_of(planner, group, 0));
}

} // namespace

std::vector<FusedGroup> find_groups(const Region &region, bool fuse) {
    const auto count = static_cast<uint32_t>(region.nodes.size());
    const Uses uses(region);
    std::vector<bool> taken(count);
    std::vector<FusedGroup> at(count); // by the node whose place it has
    for (uint32_t i = 0; i < count; ++i) {
        if (taken[i]) continue;
        FusedGroup group{{i}, plan_single};
        for (const Fusion &fusion : kFusions) {
            if (!fuse) break;
            std::vector<uint32_t> nodes = fusion.match(uses, i);
            const bool free = std::none_of(nodes.begin(), nodes.end(),
                                           [&](uint32_t node) { return taken[node]; });
            if (nodes.empty() || !free) continue;
            group = {std::move(nodes), fusion.plan, fusion.early};
            break;
        }
        for (const uint32_t node : group.nodes)
            taken[node] = true;
        const uint32_t place = group.early ? group.nodes.front() : group.nodes.back();
        at[place] = std::move(group);
    }
    std::erase_if(at, [](const FusedGroup &group) { return group.nodes.empty(); });
    return at;
}

} // namespace realizar::opencl
