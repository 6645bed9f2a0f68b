// Inside core/graph: the table row of an operator, and the checks that contracts are made of.
#pragma once

#include "core/graph/graph.h"
#include "core/graph/infer.h"

#include <cstring>

namespace realizar {

struct OpCall;
using Inferred = Result<std::vector<InferredOutput>>;

struct OpRow {
    uint32_t op;
    const char *name;
    uint32_t min_inputs; // the required ones; they come first
    uint32_t max_inputs;
    uint32_t output_count;
    uint64_t attribute_size; // of the struct of ABI 0.1; 0: none
    Inferred (*infer)(const OpCall &call);
    const char *operands[9]; // names, for messages
};

// nullptr for an unknown op.
const OpRow *find_op(uint32_t op);

// One node as its contract sees it. Required operands are present.
struct OpCall {
    const OpRow &row;
    std::span<const rz_tensor *const> inputs;
    const void *attribute_bytes;

    const rz_tensor &in(size_t i) const { return *inputs[i]; }
    bool has(size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
    Shape shape(size_t i) const;
    // Attribute blobs have no promised alignment.
    template <class T>
    T attributes() const {
        T out;
        std::memcpy(&out, attribute_bytes, sizeof out);
        return out;
    }

    // "MATMUL weight 'blk.0.attn_q.weight': expected ..., found ..."
    Error bad_operand(size_t i, const std::string &expected) const;
    // "ROPE attribute rotated: expected ..., found ..."
    Error bad_attribute(const char *name, const std::string &expected,
                        const std::string &found) const;
    Error unknown_attribute(const char *name, uint32_t found) const;

    // An operand of this type and shape; kAnyDim matches every size. `why` ends the expectation,
    // e.g. "as in x".
    Status expect(size_t i, rz_dtype dtype, const Shape &shape, const std::string &why = "") const;
    // F32 of any shape.
    Status expect_f32(size_t i) const;
    // Reductions need an innermost dimension that is a number.
    Status expect_fixed_inner(size_t i) const;
    Status expect_finite(const char *name, float value) const;
};

inline constexpr int64_t kAnyDim = INT64_MIN;

// "512", "s0" or "*".
std::string dim_text(int64_t dim);

// The result with this type and shape.
InferredOutput make_output(rz_dtype dtype, const Shape &shape);

// The contracts, by family.
Inferred infer_get_rows(const OpCall &call);
Inferred infer_matmul(const OpCall &call);
Inferred infer_binary(const OpCall &call);
Inferred infer_scale(const OpCall &call);
Inferred infer_norm(const OpCall &call);
Inferred infer_rope(const OpCall &call);
Inferred infer_kv_write(const OpCall &call);
Inferred infer_attention(const OpCall &call);
Inferred infer_unary(const OpCall &call);
Inferred infer_glu(const OpCall &call);
Inferred infer_softmax(const OpCall &call);
Inferred infer_argmax(const OpCall &call);
Inferred infer_top_k(const OpCall &call);
Inferred infer_copy(const OpCall &call);
Inferred infer_clamp(const OpCall &call);
Inferred infer_concat(const OpCall &call);
Inferred infer_route(const OpCall &call);
Inferred infer_expert_matmul(const OpCall &call);
Inferred infer_weighted_sum(const OpCall &call);
Inferred infer_ssm_conv(const OpCall &call);
Inferred infer_ssm_scan(const OpCall &call);
Inferred infer_sample(const OpCall &call);

} // namespace realizar
