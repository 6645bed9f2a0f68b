// Contracts of RoPE, the KV cache and attention (backend.h, section 5).
#include "core/graph/op_contract.h"

#include <cmath>

namespace realizar {
namespace {

constexpr uint64_t kCacheTypes = RZ_DTYPE_BIT(RZ_DTYPE_F32) | RZ_DTYPE_BIT(RZ_DTYPE_F16) |
                                 RZ_DTYPE_BIT(RZ_DTYPE_Q8_0) | RZ_DTYPE_BIT(RZ_DTYPE_Q4_0);

Status expect_cache(const OpCall &call, size_t i) {
    const rz_tensor &cache = call.in(i);
    if (cache.role != RZ_ROLE_STATE || cache.rank != 3)
        return call.bad_operand(i, "a STATE [cells, heads, D]");
    if ((RZ_DTYPE_BIT(cache.dtype) & kCacheTypes) == 0)
        return call.bad_operand(i, "F32, F16, Q8_0 or Q4_0");
    return {};
}

Status check_rope(const OpCall &call, const rz_attr_rope &attr) {
    const int64_t inner = call.shape(0).inner();
    if (attr.pairing != RZ_ROPE_ADJACENT && attr.pairing != RZ_ROPE_HALVES)
        return call.unknown_attribute("pairing", attr.pairing);
    if (attr.rotated % 2 != 0 || attr.rotated > inner)
        return call.bad_attribute("rotated", "an even number up to " + std::to_string(inner),
                                  std::to_string(attr.rotated));
    if (!std::isfinite(attr.base) || attr.base <= 1)
        return call.bad_attribute("base", "above 1", std::to_string(attr.base));
    if (!std::isfinite(attr.scale) || attr.scale <= 0)
        return call.bad_attribute("scale", "above 0", std::to_string(attr.scale));
    if (!(attr.extrapolation >= 0 && attr.extrapolation <= 1))
        return call.bad_attribute("extrapolation", "0 to 1", std::to_string(attr.extrapolation));
    RZ_TRY(call.expect_finite("attention_factor", attr.attention_factor));
    if (attr.extrapolation == 0) return {};
    if (!(attr.beta_fast > 0 && attr.beta_slow > 0 && std::isfinite(attr.beta_fast) &&
          std::isfinite(attr.beta_slow)))
        return call.bad_attribute("beta_fast, beta_slow", "above 0",
                                  std::to_string(attr.beta_fast) + ", " +
                                      std::to_string(attr.beta_slow));
    if (attr.original_context == 0)
        return call.bad_attribute("original_context", "at least 1 for YaRN", "0");
    return {};
}

Status check_attention(const OpCall &call, const rz_attr_attention &attr) {
    RZ_TRY(call.expect_finite("scale", attr.scale));
    for (const auto &[name, value] :
         {std::pair{"softcap", attr.softcap}, std::pair{"alibi_max_bias", attr.alibi_max_bias}}) {
        RZ_TRY(call.expect_finite(name, value));
        if (value < 0) return call.bad_attribute(name, "zero or more", std::to_string(value));
    }
    if (attr.causal > 1) return call.bad_attribute("causal", "0 or 1", std::to_string(attr.causal));
    if (attr.page_size == 0) return call.bad_attribute("page_size", "at least 1", "0");
    return {};
}

} // namespace

Inferred infer_rope(const OpCall &call) {
    RZ_TRY(call.expect(0, RZ_DTYPE_F32, {kAnyDim, kAnyDim, kAnyDim}));
    const Shape x = call.shape(0);
    RZ_TRY(call.expect(1, RZ_DTYPE_I32, {x.dims[0]}, "as in x " + x.text()));
    const auto attr = call.attributes<rz_attr_rope>();
    RZ_TRY(check_rope(call, attr));
    if (call.has(2)) RZ_TRY(call.expect(2, RZ_DTYPE_F32, {attr.rotated / 2}, "for rotated / 2"));
    return std::vector{make_output(RZ_DTYPE_F32, x)};
}

Inferred infer_kv_write(const OpCall &call) {
    RZ_TRY(expect_cache(call, 0));
    const Shape cache = call.shape(0);
    RZ_TRY(call.expect(1, RZ_DTYPE_F32, {kAnyDim, cache.dims[1], cache.dims[2]},
                       "as in cache " + cache.text()));
    const Shape rows = call.shape(1);
    RZ_TRY(call.expect(2, RZ_DTYPE_I32, {rows.dims[0]}, "as in rows " + rows.text()));
    InferredOutput out = make_output(call.in(0).dtype, cache);
    out.aliases_input0 = true;
    return std::vector{out};
}

Inferred infer_attention(const OpCall &call) {
    RZ_TRY(call.expect(0, RZ_DTYPE_F32, {kAnyDim, kAnyDim, kAnyDim}));
    RZ_TRY(expect_cache(call, 1));
    RZ_TRY(expect_cache(call, 2));
    const Shape q = call.shape(0), k = call.shape(1), v = call.shape(2);
    if (k.dims[2] != q.dims[2])
        return call.bad_operand(1, "D = " + std::to_string(q.dims[2]) + " as in q " + q.text());
    if (q.dims[1] % k.dims[1] != 0)
        return call.bad_operand(1, "a number of heads that divides that of q " + q.text());
    if (v.dims[0] != k.dims[0] || v.dims[1] != k.dims[1])
        return call.bad_operand(2, "cells and heads as in k " + k.text());
    for (const size_t i : {size_t{3}, size_t{4}})
        RZ_TRY(call.expect(i, RZ_DTYPE_I32, {q.dims[0]}, "as in q " + q.text()));
    RZ_TRY(call.expect(5, RZ_DTYPE_I32, {kAnyDim, kAnyDim}));
    const Shape pages = call.shape(5);
    RZ_TRY(call.expect(6, RZ_DTYPE_I32, {pages.dims[0]}, "as in pages " + pages.text()));
    if (call.has(7)) RZ_TRY(call.expect(7, RZ_DTYPE_F32, {q.dims[1]}, "as in q " + q.text()));
    RZ_TRY(check_attention(call, call.attributes<rz_attr_attention>()));
    return std::vector{make_output(RZ_DTYPE_F32, {q.dims[0], q.dims[1], v.dims[2]})};
}

} // namespace realizar
