// ROPE with the angles of rope_angles.comp. A thread makes one element.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { RopeParams p; };

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < p.total; i += step) {
        const uint row = i / p.inner, at = i % p.inner;
        F32 x = F32(row_address(p.x, 1, p.heads, row, 4));
        if (at >= 2 * p.pairs) {
            F32(p.y).v[i] = x.v[at];
            continue;
        }
        F32 angles = F32(p.angles + uint64_t(row / p.heads) * p.pairs * 8);
        const uint pair = p.halves != 0 ? at % p.pairs : at / 2;
        const bool second = p.halves != 0 ? at >= p.pairs : (at & 1) != 0;
        const uint other = p.halves != 0 ? (second ? at - p.pairs : at + p.pairs) : at ^ 1;
        const float c = angles.v[pair], s = angles.v[pair + p.pairs];
        F32(p.y).v[i] = second ? x.v[other] * s + x.v[at] * c : x.v[at] * c - x.v[other] * s;
    }
}
