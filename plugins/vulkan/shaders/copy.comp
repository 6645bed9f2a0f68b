// COPY between the plain types; equal types keep their bits.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kFrom = 0;
layout(constant_id = 1) const uint kTo = 0;
layout(push_constant) uniform Push { CopyParams p; };

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < p.total; i += step) {
        const uint row = i / p.inner, at = i % p.inner;
        const uint64_t x = row_address(p.x, p.n1, p.n2, row, plain_size(kFrom));
        if (kFrom == kTo && kTo == kF32) {
            U32(p.y).v[i] = U32(x).v[at];
        } else if (kFrom == kTo) {
            U16(p.y).v[i] = U16(x).v[at];
        } else {
            const float value = load_plain(kFrom, x, at);
            if (kTo == kF32) F32(p.y).v[i] = value;
            else U16(p.y).v[i] = uint16_t(kTo == kF16 ? float_to_half(value) : float_to_bf16(value));
        }
    }
}
