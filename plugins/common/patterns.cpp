#include "plugins/common/patterns.h"

#include "plugins/common/contract.h"
#include "plugins/common/view.h"

namespace realizar::plugin {

uint32_t other_operand(const Node &node, uint32_t tensor) {
    return node.inputs[0] == tensor ? node.inputs[1] : node.inputs[0];
}

std::vector<uint32_t> match_norm_mul(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &norm = region.nodes[index];
    if (norm.op != RZ_OP_RMS_NORM || region.has_input(norm, 1)) return {};
    const auto reader = uses.only_reader(norm.outputs[0]);
    if (!reader || region.nodes[*reader].op != RZ_OP_MUL) return {};
    const Node &mul = region.nodes[*reader];
    const bool vector = mul.inputs[0] == norm.outputs[0] &&
                        is_vector(region.input(mul, 1), region.output(norm, 0).inner());
    if (!vector || !uses.may_move(index, *reader)) return {};
    return {index, *reader};
}

std::vector<uint32_t> match_matmul_add(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &matmul = region.nodes[index];
    if (matmul.op != RZ_OP_MATMUL) return {};
    const uint32_t product = matmul.outputs[0];
    const auto reader = uses.only_reader(product);
    if (!reader || region.nodes[*reader].op != RZ_OP_ADD) return {};
    const Node &add = region.nodes[*reader];
    const uint32_t other = other_operand(add, product);
    const Tensor &addend = region.tensors[other], &result = region.tensors[product];
    uint32_t stride;
    const bool bias = add.inputs[0] == product && is_vector(addend, result.inner());
    const bool residual = same_shape(addend, result) && View(region, other).uniform(stride);
    if (!(bias || residual) || !uses.may_move(index, *reader)) return {};
    return {index, *reader};
}

std::vector<uint32_t> match_gated(const Uses &uses, uint32_t index,
                                  bool (*fits_weight)(const Tensor &)) {
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
    const bool alike = first.inputs[1] == partner.inputs[1] && fits_weight(a) && fits_weight(b) &&
                       a.dtype == b.dtype && same_shape(a, b);
    if (!alike || !uses.may_move(index, *reader) || !uses.may_move(second, *reader)) return {};
    return {index, second, *reader};
}

std::vector<uint32_t> match_rope_write(const Uses &uses, uint32_t index) {
    const Region &region = uses.region();
    const Node &rope = region.nodes[index];
    if (rope.op != RZ_OP_ROPE) return {};
    const auto reader = uses.only_reader(rope.outputs[0]);
    if (!reader || region.nodes[*reader].op != RZ_OP_KV_WRITE) return {};
    if (!uses.may_move(index, *reader)) return {};
    return {index, *reader};
}

} // namespace realizar::plugin
