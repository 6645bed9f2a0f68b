// ROPE with the angles of rope_angles.comp. A thread makes one element, or four where kFour.
#version 460
#include "common.glsl"
#include "rotate.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const bool kFour = false; // rotated_four holds, and y too begins at 16 bytes
layout(push_constant) uniform Push { RopeParams p; };

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    const uint piece = kFour ? 4 : 1;
    for (uint i = gl_GlobalInvocationID.x * piece; i < p.total; i += step * piece) {
        const uint row = i / p.inner, at = i % p.inner;
        const uint64_t x = row_address(p.x, 1, p.heads, row, 4);
        const uint64_t angles = p.angles + uint64_t(row / p.heads) * p.pairs * 8;
        if (kFour)
            F32x4(p.y + uint64_t(i) * 4).v[0] =
                rotated_four(x, angles, p.pairs, p.halves != 0, at);
        else
            F32(p.y).v[i] = rotated(F32(x), F32(angles), p.pairs, p.halves != 0, at);
    }
}
