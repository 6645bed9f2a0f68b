// Activations in 8 bits with a scale for each 32 elements. A thread makes one group.
#version 460
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { QuantizeParams p; };

void main() {
    const uint groups = p.inner / 32, total = p.rows * groups;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / groups, group = i % groups;
        F32 x = F32(row_address(p.x, p.n1, p.n2, row, 4) + uint64_t(group) * 128);
        float most = 0.0;
        for (uint j = 0; j < 32; ++j)
            most = max(most, abs(x.v[j]));
        const float scale = most / 127.0, factor = most > 0.0 ? 127.0 / most : 0.0;
        int sum = 0;
        for (uint word = 0; word < 8; ++word) {
            uint packed = 0;
            for (uint j = 0; j < 4; ++j) {
                const int q = int(clamp(roundEven(x.v[word * 4 + j] * factor), -127.0, 127.0));
                sum += q;
                packed |= (uint(q) & 255u) << (8 * j);
            }
            U32(p.q).v[i * 8 + word] = packed;
        }
        F32x2(p.s).v[i] = vec2(scale, scale * float(sum));
    }
}
