// The cooperative forms of MATMUL without cooperative matrices: a thread makes one result. Slow; for
// seeing on any device that what goes into those forms is right.
#version 460
#include "common.glsl"
#ifndef TYPE_F16
#include "types/type.glsl"
#endif

layout(local_size_x = 16, local_size_y = 16) in;
layout(push_constant) uniform Push { MatmulCoopmatParams p; };

float dot_group(uint n, U16 x, uint group) {
    float sum = 0.0;
#ifdef TYPE_F16
    U16 w = U16(p.w.plane[0] + uint64_t(n) * p.w.stride * 2);
    for (uint i = group * 32; i < min(group * 32 + 32, p.k); ++i)
        sum += half_to_float(uint(x.v[i])) * half_to_float(uint(w.v[i]));
#else
    uvec4 low, high;
    load_quants(p.w, n * p.w.stride + group, low, high);
    const GroupScale s = load_scale(p.w, n * p.w.stride + group);
    for (uint i = 0; i < 16; ++i) {
        const float a = s.low * float(signed_byte(low[i / 4], i % 4)) - s.minimum;
        const float b = s.high * float(signed_byte(high[i / 4], i % 4)) - s.upper_minimum;
        sum += a * half_to_float(uint(x.v[group * 32 + i]));
        sum += b * half_to_float(uint(x.v[group * 32 + 16 + i]));
    }
#endif
    return sum;
}

void main() {
    const uint n = gl_GlobalInvocationID.x;
    if (n >= p.n) return;
    for (uint t = gl_GlobalInvocationID.y; t < p.rows; t += gl_NumWorkGroups.y * 16) {
        U16 x = U16(p.x + uint64_t(t) * p.x_stride * 2);
        float value = 0.0;
        for (uint group = 0; group * 32 < p.k; ++group)
            value += dot_group(n, x, group);
        value *= F32(p.scales).v[t];
        if (p.add != 0) value += F32(p.add + uint64_t(t) * p.add_stride * 4).v[n];
        F32(p.y + uint64_t(t) * p.n * 4).v[n] = value;
    }
}
