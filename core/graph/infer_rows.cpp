// Contracts of the operators that work row by row (backend.h, section 5).
#include "core/graph/op_contract.h"

#include <algorithm>

namespace realizar {
namespace {

bool known_unary(uint32_t kind) { return kind >= RZ_UNARY_SILU && kind <= RZ_UNARY_TANH; }

constexpr uint64_t kCopyable =
    RZ_DTYPE_BIT(RZ_DTYPE_F32) | RZ_DTYPE_BIT(RZ_DTYPE_F16) | RZ_DTYPE_BIT(RZ_DTYPE_BF16);

// One F32 result like x.
Inferred like_x(const OpCall &call) {
    RZ_TRY(call.expect_f32(0));
    return std::vector{make_output(RZ_DTYPE_F32, call.shape(0))};
}

Inferred check_kind(const OpCall &call) {
    const auto attr = call.attributes<rz_attr_unary>();
    if (!known_unary(attr.kind)) return call.unknown_attribute("kind", attr.kind);
    return like_x(call);
}

} // namespace

Inferred infer_get_rows(const OpCall &call) {
    const Shape table = call.shape(0);
    if (table.rank != 2) return call.bad_operand(0, "a matrix [N, D]");
    RZ_TRY(call.expect(1, RZ_DTYPE_I32, {kAnyDim}));
    return std::vector{make_output(RZ_DTYPE_F32, {call.shape(1).dims[0], table.dims[1]})};
}

Inferred infer_matmul(const OpCall &call) {
    const Shape weight = call.shape(0);
    Shape x = call.shape(1);
    if (weight.rank != 2 || weight.symbolic()) return call.bad_operand(0, "a fixed matrix [N, K]");
    RZ_TRY(call.expect_f32(1));
    if (weight.dims[1] != x.inner())
        return call.bad_operand(0, "K = " + dim_text(x.inner()) + " as in x " + x.text());
    x.dims[x.rank - 1] = weight.dims[0];
    return std::vector{make_output(RZ_DTYPE_F32, x)};
}

Inferred infer_binary(const OpCall &call) {
    const Shape a = call.shape(0), b = call.shape(1);
    RZ_TRY(call.expect_f32(0));
    RZ_TRY(call.expect_f32(1));
    const bool trailing =
        b.rank <= a.rank && std::equal(b.dims.begin(), b.dims.begin() + b.rank,
                                       a.dims.begin() + (a.rank - std::min(a.rank, b.rank)));
    if (!trailing)
        return call.bad_operand(1, "the shape or the trailing dimensions of a " + a.text());
    return std::vector{make_output(RZ_DTYPE_F32, a)};
}

Inferred infer_scale(const OpCall &call) {
    const auto attr = call.attributes<rz_attr_scale>();
    RZ_TRY(call.expect_finite("scale", attr.scale));
    RZ_TRY(call.expect_finite("bias", attr.bias));
    return like_x(call);
}

Inferred infer_norm(const OpCall &call) {
    const auto attr = call.attributes<rz_attr_norm>();
    RZ_TRY(call.expect_finite("epsilon", attr.epsilon));
    if (attr.epsilon < 0)
        return call.bad_attribute("epsilon", "zero or more", std::to_string(attr.epsilon));
    RZ_TRY(call.expect_fixed_inner(0));
    const Shape x = call.shape(0);
    for (size_t i = 1; i < call.inputs.size(); ++i)
        if (call.has(i)) RZ_TRY(call.expect(i, RZ_DTYPE_F32, {x.inner()}, "as in x " + x.text()));
    return like_x(call);
}

Inferred infer_unary(const OpCall &call) { return check_kind(call); }

Inferred infer_glu(const OpCall &call) {
    RZ_TRY(call.expect(1, RZ_DTYPE_F32, call.shape(0), "as gate"));
    return check_kind(call);
}

Inferred infer_softmax(const OpCall &call) {
    const auto attr = call.attributes<rz_attr_scale>();
    RZ_TRY(call.expect_finite("scale", attr.scale));
    if (attr.bias != 0) return call.bad_attribute("bias", "0", std::to_string(attr.bias));
    RZ_TRY(call.expect_fixed_inner(0));
    return like_x(call);
}

Inferred infer_argmax(const OpCall &call) {
    RZ_TRY(call.expect(0, RZ_DTYPE_F32, {kAnyDim, kAnyDim}));
    return std::vector{make_output(RZ_DTYPE_I32, {call.shape(0).dims[0]})};
}

Inferred infer_top_k(const OpCall &call) {
    RZ_TRY(call.expect(0, RZ_DTYPE_F32, {kAnyDim, kAnyDim}));
    const Shape x = call.shape(0);
    const uint32_t k = call.attributes<rz_attr_top_k>().k;
    if (k < 1 || k > x.dims[1])
        return call.bad_attribute("k", "1 to " + std::to_string(x.dims[1]), std::to_string(k));
    const Shape out{x.dims[0], k};
    return std::vector{make_output(RZ_DTYPE_F32, out), make_output(RZ_DTYPE_I32, out)};
}

Inferred infer_sample(const OpCall &call) {
    constexpr int64_t kMost = 1024, kDraw = 5;
    RZ_TRY(call.expect(0, RZ_DTYPE_F32, {kAnyDim, kAnyDim}));
    const Shape logits = call.shape(0);
    if (logits.dims[1] < 1 || logits.dims[1] > kMost)
        return call.bad_operand(0, "rows of 1 to 1024 elements");
    RZ_TRY(call.expect(1, RZ_DTYPE_I32, logits, "as in logits"));
    RZ_TRY(call.expect(2, RZ_DTYPE_F32, {logits.dims[0], kDraw}));
    return std::vector{make_output(RZ_DTYPE_I32, {logits.dims[0]})};
}

Inferred infer_clamp(const OpCall &call) {
    const auto attr = call.attributes<rz_attr_clamp>();
    RZ_TRY(call.expect_finite("low", attr.low));
    RZ_TRY(call.expect_finite("high", attr.high));
    if (attr.low > attr.high)
        return call.bad_attribute("low", "at most high " + std::to_string(attr.high),
                                  std::to_string(attr.low));
    return like_x(call);
}

Inferred infer_concat(const OpCall &call) {
    RZ_TRY(call.expect_f32(0));
    RZ_TRY(call.expect_f32(1));
    Shape a = call.shape(0);
    const Shape b = call.shape(1);
    if (a.rank < 2) return call.bad_operand(0, "rank 2 or more");
    bool fits = a.rank == b.rank && a.dims[0] == b.dims[0];
    for (uint32_t d = 1; fits && d + 1 < a.rank; ++d)
        fits = b.dims[d] == a.dims[d] || b.dims[d] == 1;
    if (!fits)
        return call.bad_operand(1, "the outer dimensions of a " + a.text() +
                                       ", or 1 behind the first");
    a.dims[a.rank - 1] += b.inner();
    return std::vector{make_output(RZ_DTYPE_F32, a)};
}

Inferred infer_copy(const OpCall &call) {
    if ((RZ_DTYPE_BIT(call.in(0).dtype) & kCopyable) == 0)
        return call.bad_operand(0, "F32, F16 or BF16");
    InferredOutput out = make_output(call.in(0).dtype, call.shape(0));
    out.dtypes = kCopyable;
    return std::vector{out};
}

} // namespace realizar
