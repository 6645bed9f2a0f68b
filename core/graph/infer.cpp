#include "core/graph/infer.h"

#include "core/graph/layout.h"
#include "core/graph/op_contract.h"

#include <algorithm>
#include <cmath>

namespace realizar {
namespace {

constexpr OpRow kOps[] = {
    {RZ_OP_GET_ROWS, "GET_ROWS", 2, 2, 1, 0, infer_get_rows, {"table", "ids"}},
    {RZ_OP_MATMUL, "MATMUL", 2, 2, 1, 0, infer_matmul, {"weight", "x"}},
    {RZ_OP_ADD, "ADD", 2, 2, 1, 0, infer_binary, {"a", "b"}},
    {RZ_OP_MUL, "MUL", 2, 2, 1, 0, infer_binary, {"a", "b"}},
    {RZ_OP_SCALE, "SCALE", 1, 1, 1, sizeof(rz_attr_scale), infer_scale, {"x"}},
    {RZ_OP_RMS_NORM, "RMS_NORM", 1, 2, 1, sizeof(rz_attr_norm), infer_norm, {"x", "weight"}},
    {RZ_OP_LAYER_NORM,
     "LAYER_NORM",
     1,
     3,
     1,
     sizeof(rz_attr_norm),
     infer_norm,
     {"x", "weight", "bias"}},
    {RZ_OP_ROPE, "ROPE", 2, 3, 1, sizeof(rz_attr_rope), infer_rope, {"x", "positions", "factors"}},
    {RZ_OP_KV_WRITE, "KV_WRITE", 3, 3, 1, 0, infer_kv_write, {"cache", "rows", "cells"}},
    {RZ_OP_ATTENTION,
     "ATTENTION",
     7,
     8,
     1,
     sizeof(rz_attr_attention),
     infer_attention,
     {"q", "k", "v", "positions", "sequences", "pages", "lengths", "sinks"}},
    {RZ_OP_UNARY, "UNARY", 1, 1, 1, sizeof(rz_attr_unary), infer_unary, {"x"}},
    {RZ_OP_GLU, "GLU", 2, 2, 1, sizeof(rz_attr_unary), infer_glu, {"gate", "up"}},
    {RZ_OP_SOFTMAX, "SOFTMAX", 1, 1, 1, sizeof(rz_attr_scale), infer_softmax, {"x"}},
    {RZ_OP_ARGMAX, "ARGMAX", 1, 1, 1, 0, infer_argmax, {"x"}},
    {RZ_OP_TOP_K, "TOP_K", 1, 1, 2, sizeof(rz_attr_top_k), infer_top_k, {"x"}},
    {RZ_OP_COPY, "COPY", 1, 1, 1, 0, infer_copy, {"x"}},
    {RZ_OP_CLAMP, "CLAMP", 1, 1, 1, sizeof(rz_attr_clamp), infer_clamp, {"x"}},
    {RZ_OP_CONCAT, "CONCAT", 2, 2, 1, 0, infer_concat, {"a", "b"}},
    {RZ_OP_ROUTE, "ROUTE", 1, 2, 2, sizeof(rz_attr_route), infer_route, {"logits", "bias"}},
    {RZ_OP_EXPERT_MATMUL,
     "EXPERT_MATMUL",
     2,
     4,
     1,
     0,
     infer_expert_matmul,
     {"weight", "x", "experts", "bias"}},
    {RZ_OP_WEIGHTED_SUM, "WEIGHTED_SUM", 2, 2, 1, 0, infer_weighted_sum, {"x", "weights"}},
    {RZ_OP_SSM_CONV,
     "SSM_CONV",
     5,
     6,
     2,
     0,
     infer_ssm_conv,
     {"state", "x", "weight", "positions", "sequences", "bias"}},
    {RZ_OP_SSM_SCAN,
     "SSM_SCAN",
     8,
     9,
     2,
     0,
     infer_ssm_scan,
     {"state", "x", "dt", "a", "b", "c", "positions", "sequences", "d"}},
    {RZ_OP_SAMPLE, "SAMPLE", 3, 3, 1, 0, infer_sample, {"logits", "tokens", "draws"}},
};
static_assert(std::size(kOps) == RZ_OP_COUNT - 1);

Status check_counts(const OpRow &row, std::span<const rz_tensor *const> inputs) {
    if (inputs.size() < row.min_inputs || inputs.size() > row.max_inputs)
        return make_error(Code::invalid_argument, "bad_operand",
                          "%s: expected %u to %u inputs, found %zu", row.name, row.min_inputs,
                          row.max_inputs, inputs.size());
    for (uint32_t i = 0; i < row.min_inputs; ++i)
        if (inputs[i] == nullptr)
            return make_error(Code::invalid_argument, "bad_operand",
                              "%s %s: expected a tensor, found none", row.name, row.operands[i]);
    return {};
}

// Every attribute struct starts with struct_size and flags.
Status check_attributes(const OpRow &row, const void *attributes, uint64_t size) {
    if (row.attribute_size == 0) return {};
    if (attributes == nullptr || size < row.attribute_size)
        return make_error(Code::invalid_argument, "bad_attribute",
                          "%s: expected at least %llu bytes of attributes, found %llu", row.name,
                          static_cast<unsigned long long>(row.attribute_size),
                          static_cast<unsigned long long>(attributes == nullptr ? 0 : size));
    uint32_t header[2];
    std::memcpy(header, attributes, sizeof header);
    if (header[0] < row.attribute_size || header[0] > size)
        return make_error(Code::invalid_argument, "bad_attribute",
                          "%s attribute struct_size: expected %llu to %llu, found %u", row.name,
                          static_cast<unsigned long long>(row.attribute_size),
                          static_cast<unsigned long long>(size), header[0]);
    if ((header[1] & 0xffffu) != 0)
        return make_error(Code::unsupported, "unsupported_flags",
                          "%s attribute flags: expected no required bit, found 0x%x", row.name,
                          header[1]);
    return {};
}

std::string dtype_text(rz_dtype dtype) {
    const DTypeInfo *info = find_dtype(dtype);
    return info != nullptr ? info->name : "type " + std::to_string(dtype);
}

std::string shape_text(const Shape &shape) {
    std::string out = "[";
    for (uint32_t i = 0; i < shape.rank; ++i) {
        if (i > 0) out += ", ";
        out += dim_text(shape.dims[i]);
    }
    return out + "]";
}

} // namespace

const OpRow *find_op(uint32_t op) {
    const auto row = std::ranges::find(kOps, op, &OpRow::op);
    return row == std::end(kOps) ? nullptr : row;
}

const char *op_name(uint32_t op) {
    const OpRow *row = find_op(op);
    return row != nullptr ? row->name : "unknown op";
}

Inferred infer_outputs(uint32_t op, uint32_t version, std::span<const rz_tensor *const> inputs,
                       const void *attributes, uint64_t attributes_size) {
    const OpRow *row = find_op(op);
    if (row == nullptr)
        return make_error(Code::unsupported, "unsupported_op", "expected an op of 1..%u, found %u",
                          RZ_OP_COUNT - 1, op);
    if (version != 1)
        return make_error(Code::unsupported, "unsupported_op", "%s: expected version 1, found %u",
                          row->name, version);
    RZ_TRY(check_counts(*row, inputs));
    RZ_TRY(check_attributes(*row, attributes, attributes_size));
    return row->infer(OpCall{*row, inputs, attributes});
}

std::string dim_text(int64_t dim) {
    if (dim == kAnyDim) return "*";
    const std::string text = Shape{dim}.text();
    return text.substr(1, text.size() - 2);
}

Shape OpCall::shape(size_t i) const { return tensor_shape(in(i)); }

Error OpCall::bad_operand(size_t i, const std::string &expected) const {
    const rz_tensor &tensor = in(i);
    const std::string name =
        tensor.name != nullptr ? " '" + printable(tensor.name) + "'" : std::string();
    return make_error(Code::invalid_argument, "bad_operand", "%s %s%s: expected %s, found %s %s",
                      row.name, row.operands[i], name.c_str(), expected.c_str(),
                      dtype_text(tensor.dtype).c_str(), shape(i).text().c_str());
}

Error OpCall::bad_attribute(const char *name, const std::string &expected,
                            const std::string &found) const {
    return make_error(Code::invalid_argument, "bad_attribute",
                      "%s attribute %s: expected %s, found %s", row.name, name, expected.c_str(),
                      found.c_str());
}

Error OpCall::unknown_attribute(const char *name, uint32_t found) const {
    return make_error(Code::unsupported, "unsupported_attribute",
                      "%s attribute %s: expected a known value, found %u", row.name, name, found);
}

Status OpCall::expect(size_t i, rz_dtype dtype, const Shape &expected,
                      const std::string &why) const {
    const Shape found = shape(i);
    bool same = in(i).dtype == dtype && found.rank == expected.rank;
    for (uint32_t d = 0; same && d < expected.rank; ++d)
        same = expected.dims[d] == kAnyDim || expected.dims[d] == found.dims[d];
    if (same) return {};
    return bad_operand(i, dtype_text(dtype) + " " + shape_text(expected) +
                              (why.empty() ? "" : " " + why));
}

Status OpCall::expect_f32(size_t i) const {
    if (in(i).dtype == RZ_DTYPE_F32) return {};
    return bad_operand(i, "F32");
}

Status OpCall::expect_fixed_inner(size_t i) const {
    if (shape(i).inner() > 0) return {};
    return bad_operand(i, "an innermost dimension that is not symbolic");
}

Status OpCall::expect_finite(const char *name, float value) const {
    if (std::isfinite(value)) return {};
    return bad_attribute(name, "a finite number", std::to_string(value));
}

InferredOutput make_output(rz_dtype dtype, const Shape &shape) {
    InferredOutput out{};
    out.dtype = dtype;
    out.dtypes = RZ_DTYPE_BIT(dtype);
    out.rank = shape.rank;
    for (uint32_t i = 0; i < shape.rank; ++i)
        out.dims[i] = shape.dims[i];
    return out;
}

} // namespace realizar
