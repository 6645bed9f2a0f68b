// ROPE with the angles of rope_angles.comp. A thread makes one element.
#version 460
#include "common.glsl"
#include "rotate.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { RopeParams p; };

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < p.total; i += step) {
        const uint row = i / p.inner, at = i % p.inner;
        F32 x = F32(row_address(p.x, 1, p.heads, row, 4));
        F32 angles = F32(p.angles + uint64_t(row / p.heads) * p.pairs * 8);
        F32(p.y).v[i] = rotated(x, angles, p.pairs, p.halves != 0, at);
    }
}
