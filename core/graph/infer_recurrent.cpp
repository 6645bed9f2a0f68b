// Contracts of the recurrent operators (backend.h, section 5).
#include "core/graph/op_contract.h"

namespace realizar {
namespace {

Status expect_state(const OpCall &call, uint32_t rank, const char *shape) {
    const rz_tensor &state = call.in(0);
    if (state.role == RZ_ROLE_STATE && state.rank == rank && state.dtype == RZ_DTYPE_F32) return {};
    return call.bad_operand(0, std::string("a STATE F32 ") + shape);
}

// positions and sequences: one number per row of x.
Status expect_rows(const OpCall &call, size_t first, const Shape &x) {
    for (const size_t i : {first, first + 1})
        RZ_TRY(call.expect(i, RZ_DTYPE_I32, {x.dims[0]}, "as in x " + x.text()));
    return {};
}

std::vector<InferredOutput> state_and(const OpCall &call, const Shape &y) {
    InferredOutput state = make_output(RZ_DTYPE_F32, call.shape(0));
    state.aliases_input0 = true;
    return {state, make_output(RZ_DTYPE_F32, y)};
}

} // namespace

Inferred infer_ssm_conv(const OpCall &call) {
    RZ_TRY(expect_state(call, 3, "[S, C-1, D]"));
    const Shape state = call.shape(0);
    RZ_TRY(call.expect(1, RZ_DTYPE_F32, {kAnyDim, state.dims[2]}, "as in state " + state.text()));
    const Shape x = call.shape(1);
    RZ_TRY(call.expect(2, RZ_DTYPE_F32, {state.dims[2], state.dims[1] + 1},
                       "for state " + state.text()));
    RZ_TRY(expect_rows(call, 3, x));
    if (call.has(5))
        RZ_TRY(call.expect(5, RZ_DTYPE_F32, {state.dims[2]}, "as in state " + state.text()));
    return state_and(call, x);
}

Inferred infer_ssm_scan(const OpCall &call) {
    RZ_TRY(expect_state(call, 4, "[S, H, P, N]"));
    const Shape state = call.shape(0);
    const int64_t heads = state.dims[1], width = state.dims[2], size = state.dims[3];
    const std::string as_state = "as in state " + state.text();
    RZ_TRY(call.expect(1, RZ_DTYPE_F32, {kAnyDim, heads, width}, as_state));
    const Shape x = call.shape(1);
    RZ_TRY(call.expect(2, RZ_DTYPE_F32, {x.dims[0], heads}, "as in x " + x.text()));
    if (call.shape(3) != Shape{heads, 1})
        RZ_TRY(call.expect(3, RZ_DTYPE_F32, {heads, size}, as_state));
    RZ_TRY(call.expect_f32(3));
    RZ_TRY(call.expect(4, RZ_DTYPE_F32, {x.dims[0], kAnyDim, size}, as_state));
    const Shape b = call.shape(4);
    if (heads % b.dims[1] != 0)
        return call.bad_operand(4, "groups that divide the " + dim_text(heads) + " heads");
    RZ_TRY(call.expect(5, RZ_DTYPE_F32, b, "as b"));
    RZ_TRY(expect_rows(call, 6, x));
    if (call.has(8)) RZ_TRY(call.expect(8, RZ_DTYPE_F32, {heads}, as_state));
    return state_and(call, x);
}

} // namespace realizar
