// Contracts of the operators for mixtures of experts (backend.h, section 5).
#include "core/graph/op_contract.h"

namespace realizar {
namespace {

Status check_route(const OpCall &call, const rz_attr_route &attr, int64_t experts) {
    if (attr.gating != RZ_GATING_SOFTMAX && attr.gating != RZ_GATING_SIGMOID)
        return call.unknown_attribute("gating", attr.gating);
    const auto expect_range = [&](const char *name, uint32_t value, int64_t most) -> Status {
        if (value >= 1 && value <= most) return {};
        return call.bad_attribute(name, "1 to " + std::to_string(most), std::to_string(value));
    };
    if (attr.groups < 1 || experts % attr.groups != 0)
        return call.bad_attribute("groups", "a divisor of " + std::to_string(experts),
                                  std::to_string(attr.groups));
    const int64_t group = experts / attr.groups;
    RZ_TRY(expect_range("groups_used", attr.groups_used, attr.groups));
    RZ_TRY(expect_range("group_top", attr.group_top, group));
    RZ_TRY(expect_range("k", attr.k, attr.groups_used * group));
    if (attr.normalise > 1)
        return call.bad_attribute("normalise", "0 or 1", std::to_string(attr.normalise));
    return call.expect_finite("scale", attr.scale);
}

} // namespace

Inferred infer_route(const OpCall &call) {
    RZ_TRY(call.expect(0, RZ_DTYPE_F32, {kAnyDim, kAnyDim}));
    const Shape logits = call.shape(0);
    const int64_t experts = logits.dims[1];
    if (call.has(1))
        RZ_TRY(call.expect(1, RZ_DTYPE_F32, {experts}, "as in logits " + logits.text()));
    const auto attr = call.attributes<rz_attr_route>();
    RZ_TRY(check_route(call, attr, experts));
    const Shape out{logits.dims[0], attr.k};
    return std::vector{make_output(RZ_DTYPE_F32, out), make_output(RZ_DTYPE_I32, out)};
}

Inferred infer_expert_matmul(const OpCall &call) {
    const Shape w = call.shape(0);
    if (w.rank != 3 || w.symbolic()) return call.bad_operand(0, "a fixed tensor [E, N, K]");
    RZ_TRY(call.expect(1, RZ_DTYPE_F32, {kAnyDim, kAnyDim, kAnyDim}));
    const Shape x = call.shape(1);
    if (w.dims[2] != x.dims[2])
        return call.bad_operand(0, "K = " + dim_text(x.dims[2]) + " as in x " + x.text());
    int64_t chosen = w.dims[0];
    if (call.has(2)) {
        RZ_TRY(call.expect(2, RZ_DTYPE_I32, {x.dims[0], kAnyDim}, "as in x " + x.text()));
        chosen = call.shape(2).dims[1];
    }
    if (x.dims[1] != chosen && x.dims[1] != 1)
        return call.bad_operand(1, "one row or " + dim_text(chosen) + " rows per token");
    if (call.has(3))
        RZ_TRY(call.expect(3, RZ_DTYPE_F32, {w.dims[0], w.dims[1]}, "as in weight " + w.text()));
    return std::vector{make_output(RZ_DTYPE_F32, {x.dims[0], chosen, w.dims[1]})};
}

Inferred infer_weighted_sum(const OpCall &call) {
    RZ_TRY(call.expect(0, RZ_DTYPE_F32, {kAnyDim, kAnyDim, kAnyDim}));
    const Shape x = call.shape(0);
    RZ_TRY(call.expect(1, RZ_DTYPE_F32, {x.dims[0], x.dims[1]}, "as in x " + x.text()));
    return std::vector{make_output(RZ_DTYPE_F32, {x.dims[0], x.dims[2]})};
}

} // namespace realizar
