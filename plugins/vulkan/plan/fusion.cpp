#include "plugins/vulkan/plan/fusion.h"

#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/plan/fusion_qkv.h"

#include <algorithm>

namespace realizar::vulkan {

namespace {

struct Fusion {
    const char *name;
    // The nodes of the pattern that begins at `node`, rising; empty: no match.
    std::vector<uint32_t> (*match)(const Uses &uses, uint32_t node);
    void (*plan)(Planner &planner, const FusedGroup &group);
};

const Node &node_of(const Planner &planner, const FusedGroup &group, size_t i) {
    return planner.region().nodes[group.nodes[i]];
}

// The operand of `node` (ADD or MUL) that is not `tensor`.
uint32_t other_operand(const Node &node, uint32_t tensor) {
    return node.inputs[0] == tensor ? node.inputs[1] : node.inputs[0];
}

// RMS_NORM without a weight, then MUL with a vector.
std::vector<uint32_t> match_norm_mul(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &norm = region.nodes[index];
    if (norm.op != RZ_OP_RMS_NORM || region.has_input(norm, 1)) return {};
    const auto reader = uses.only_reader(norm.outputs[0]);
    if (!reader || region.nodes[*reader].op != RZ_OP_MUL) return {};
    const Node &mul = region.nodes[*reader];
    const bool vector = mul.inputs[0] == norm.outputs[0] &&
                        plugin::is_vector(region.input(mul, 1), region.output(norm, 0).inner());
    if (!vector || !uses.may_move(index, *reader)) return {};
    return {index, *reader};
}

void plan_norm_mul_group(Planner &planner, const FusedGroup &group) {
    const Node &norm = node_of(planner, group, 0), &mul = node_of(planner, group, 1);
    plan_norm_mul(planner, norm, mul.inputs[1], mul.outputs[0]);
}

// MATMUL, then ADD of a bias or of a residual.
std::vector<uint32_t> match_matmul_add(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &matmul = region.nodes[index];
    if (matmul.op != RZ_OP_MATMUL) return {};
    const uint32_t product = matmul.outputs[0];
    const auto reader = uses.only_reader(product);
    if (!reader || region.nodes[*reader].op != RZ_OP_ADD) return {};
    const Node &add = region.nodes[*reader];
    const uint32_t other = other_operand(add, product);
    if (other == product) return {};
    const Tensor &addend = region.tensors[other], &result = region.tensors[product];
    uint32_t stride;
    const bool bias = add.inputs[0] == product && plugin::is_vector(addend, result.inner());
    const bool residual = plugin::same_shape(addend, result) && View(region, other).uniform(stride);
    if (!(bias || residual) || !uses.may_move(index, *reader)) return {};
    return {index, *reader};
}

void plan_matmul_add_group(Planner &planner, const FusedGroup &group) {
    const Node &matmul = node_of(planner, group, 0), &add = node_of(planner, group, 1);
    plan_matmul_add(planner, matmul, other_operand(add, matmul.outputs[0]), add.outputs[0]);
}

// Two MATMULs of the same x with weights of one type and shape, and the GLU of their results.
std::vector<uint32_t> match_gated(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &first = region.nodes[index];
    if (first.op != RZ_OP_MATMUL) return {};
    const auto reader = uses.only_reader(first.outputs[0]);
    if (!reader || region.nodes[*reader].op != RZ_OP_GLU) return {};
    const uint32_t other = other_operand(region.nodes[*reader], first.outputs[0]);
    const auto is_partner = [&](const Node &node) {
        return node.op == RZ_OP_MATMUL && node.outputs[0] == other;
    };
    uint32_t second = index + 1;
    while (second < *reader && !is_partner(region.nodes[second]))
        ++second;
    if (second >= *reader || uses.only_reader(other) != reader) return {};
    const Node &partner = region.nodes[second];
    const Tensor &a = region.input(first, 0), &b = region.input(partner, 0);
    const bool alike = first.inputs[1] == partner.inputs[1] && a.role == RZ_ROLE_WEIGHT &&
                       b.role == RZ_ROLE_WEIGHT && a.dtype == b.dtype && plugin::same_shape(a, b);
    if (!alike || !uses.may_move(index, *reader) || !uses.may_move(second, *reader)) return {};
    return {index, second, *reader};
}

void plan_gated_group(Planner &planner, const FusedGroup &group) {
    const Node &first = node_of(planner, group, 0), &second = node_of(planner, group, 1);
    const Node &glu = node_of(planner, group, 2);
    const bool in_order = glu.inputs[0] == first.outputs[0];
    plan_gated(planner, in_order ? first : second, in_order ? second : first, glu);
}

// ROPE, then KV_WRITE of its result.
std::vector<uint32_t> match_rope_write(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &rope = region.nodes[index];
    if (rope.op != RZ_OP_ROPE) return {};
    const auto reader = uses.only_reader(rope.outputs[0]);
    if (!reader || region.nodes[*reader].op != RZ_OP_KV_WRITE) return {};
    if (!uses.may_move(index, *reader)) return {};
    return {index, *reader};
}

void plan_rope_write_group(Planner &planner, const FusedGroup &group) {
    plan_rope_write(planner, node_of(planner, group, 0), node_of(planner, group, 1));
}

constexpr Fusion kFusions[] = {
    {"norm * weight", match_norm_mul, plan_norm_mul_group},
    {"Q, K and V up to the cache", match_qkv, plan_qkv_group},
    {"matmul + bias or residual", match_matmul_add, plan_matmul_add_group},
    {"gate and up + GLU", match_gated, plan_gated_group},
    {"rope + KV write", match_rope_write, plan_rope_write_group},
};

void plan_single(Planner &planner, const FusedGroup &group) {
    plan_node(planner, node_of(planner, group, 0));
}

} // namespace

Uses::Uses(const Region &region)
    : region_(region), readers_(region.tensors.size()), outputs_(region.tensors.size()) {
    for (uint32_t i = 0; i < region.nodes.size(); ++i)
        for_inputs(region, region.nodes[i],
                   [&](uint32_t tensor) { readers_[region.tensors[tensor].storage].push_back(i); });
    for (const uint32_t tensor : region.outputs)
        outputs_[tensor] = outputs_[region.tensors[tensor].storage] = true;
}

std::optional<uint32_t> Uses::only_node(uint32_t tensor) const {
    const Tensor &t = region_.tensors[tensor];
    if (t.role != RZ_ROLE_TEMP || t.is_view(tensor) || outputs_[tensor]) return std::nullopt;
    const auto &readers = readers_[tensor];
    return readers.size() == 1 ? std::optional(readers[0]) : std::nullopt;
}

std::optional<uint32_t> Uses::only_reader(uint32_t tensor) const {
    const auto reader = only_node(tensor);
    if (!reader) return std::nullopt;
    const auto &inputs = region_.nodes[*reader].inputs;
    if (std::find(inputs.begin(), inputs.end(), tensor) == inputs.end()) return std::nullopt;
    return reader;
}

bool Uses::may_move(uint32_t from, uint32_t to) const {
    bool same = true;
    for_inputs(region_, region_.nodes[from], [&](uint32_t input) {
        const uint32_t storage = region_.tensors[input].storage;
        for (uint32_t i = from + 1; i < to; ++i)
            for (const uint32_t output : region_.nodes[i].outputs)
                same = same && region_.tensors[output].storage != storage;
    });
    return same;
}

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
