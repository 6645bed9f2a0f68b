#include "plugins/common/contract.h"

#include <algorithm>

namespace realizar::plugin {

namespace {

std::string describe(const Tensor &t) {
    static constexpr struct {
        rz_dtype id;
        const char *name;
    } kNames[] = {
#define RZ_ROW(name, id, elements, bytes) {id, #name},
        RZ_DTYPES(RZ_ROW)
#undef RZ_ROW
    };
    const auto row =
        std::find_if(std::begin(kNames), std::end(kNames), [&](auto n) { return n.id == t.dtype; });
    std::string text = row == std::end(kNames) ? "type " + std::to_string(t.dtype) : row->name;
    text += " [";
    for (uint32_t d = 0; d < t.rank; ++d) {
        if (d) text += ", ";
        if (d == 0 && t.symbol != RZ_NONE) text += "<=";
        text += std::to_string(t.dims[d]);
    }
    return text + "]";
}

std::string describe(const Region &region, const Node &node) {
    std::string text;
    for (const uint32_t i : node.inputs)
        text += (text.empty() ? "" : ", ") + (i == RZ_NONE ? "none" : describe(region.tensors[i]));
    text += " ->";
    for (const uint32_t i : node.outputs)
        text += ' ' + describe(region.tensors[i]);
    return text;
}

// The checks that all operators share.
void check_common(const Contract &op, uint64_t types, const Region &region, const Node &node,
                  Verdict &v) {
    v.support(node.version == 1, "version 1 of the operator");
    v.support(types != 0, "an operator that this backend computes");
    v.require(node.inputs.size() >= op.min_inputs && node.inputs.size() <= op.max_inputs &&
                  node.outputs.size() == op.outputs,
              "another number of operands");
    if (!v.ok()) return;
    for (uint32_t i = 0; i < op.min_inputs; ++i)
        v.require(node.inputs[i] != RZ_NONE, "all required inputs");
    for (const uint32_t i : node.outputs)
        v.require(i != RZ_NONE, "all outputs");
    if (op.attributes) {
        v.require(node.attributes.size() >= op.attributes, "the operator's attributes");
        if (!v.ok()) return;
        uint32_t head[2];
        __builtin_memcpy(head, node.attributes.data(), sizeof(head));
        v.require(head[0] >= op.attributes && head[0] <= node.attributes.size(),
                  "attributes with a right struct_size");
        v.support((head[1] & 0xffffu) == 0, "attributes without unknown required flags");
    }
    if (!v.ok()) return;
    v.support(has_type(types, region.input(node, op.typed_input).dtype),
              "a type that this backend computes");
    for (const uint32_t i : node.outputs) {
        const Tensor &t = region.tensors[i];
        for (uint32_t d = 0; d + 1 < t.rank; ++d)
            v.require(t.dims[d] <= 1 || t.strides[d] != 0, "an output without overlapping rows");
    }
}

} // namespace

const Contract *find_contract(uint32_t op) {
    for (const Contract &row : contracts())
        if (row.op == op) return &row;
    return nullptr;
}

rz_code check_node(const Region &region, uint32_t index, const Coverage &coverage, rz_error *err) {
    const Node &node = region.nodes[index];
    const Contract *op = find_contract(node.op);
    if (!op)
        return fail(err, RZ_UNSUPPORTED, index, "node %u: operator %u is not known", index,
                    node.op);
    Verdict verdict;
    check_common(*op, coverage.types(*op), region, node, verdict);
    if (verdict.ok()) op->check(region, node, verdict);
    if (verdict.ok()) coverage.check(region, node, verdict);
    if (verdict.ok()) return RZ_OK;
    return fail(err, verdict.code(), index, "node %u (%s): expected %s, found %s", index, op->name,
                verdict.expected(), describe(region, node).c_str());
}

bool same_dim(const Tensor &a, uint32_t a_dim, const Tensor &b, uint32_t b_dim) {
    const uint32_t a_symbol = a_dim == 0 ? a.symbol : RZ_NONE;
    const uint32_t b_symbol = b_dim == 0 ? b.symbol : RZ_NONE;
    return a_dim < a.rank && b_dim < b.rank && a.dims[a_dim] == b.dims[b_dim] &&
           a_symbol == b_symbol;
}

bool trailing_shape(const Tensor &a, const Tensor &b) {
    if (b.rank > a.rank) return false;
    for (uint32_t d = 0; d < b.rank; ++d)
        if (!same_dim(a, a.rank - b.rank + d, b, d)) return false;
    return true;
}

bool same_shape(const Tensor &a, const Tensor &b) {
    return a.rank == b.rank && trailing_shape(a, b);
}

bool is_vector(const Tensor &t, int64_t n) {
    return t.rank == 1 && t.symbol == RZ_NONE && t.dims[0] == n;
}

} // namespace realizar::plugin
