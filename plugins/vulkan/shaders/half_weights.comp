// Weights in planes -> rows of F16 for matmul_half.comp and matmul_half_nv.comp, with zeros behind the
// k elements of a row. A thread makes 32 elements. Weights beyond 65504 become infinite.
#version 460
#include "common.glsl"
#include "types/type.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { HalfWeightsParams p; };

uint pair(uint word, uint i, float scale, float minimum) {
    return float_to_half(scale * float(signed_byte(word, 2 * i)) - minimum) |
           float_to_half(scale * float(signed_byte(word, 2 * i + 1)) - minimum) << 16;
}
uvec4 eight(uvec2 words, float scale, float minimum) {
    return uvec4(pair(words.x, 0, scale, minimum), pair(words.x, 1, scale, minimum),
                 pair(words.y, 0, scale, minimum), pair(words.y, 1, scale, minimum));
}

void main() {
    const uint64_t groups = p.stride / 32, count = groups * p.rows;
    const uint64_t step = uint64_t(gl_NumWorkGroups.x) * 256;
    for (uint64_t i = uint64_t(gl_WorkGroupID.x) * 256 + gl_LocalInvocationID.x; i < count;
         i += step) {
        const uint row = uint(i / groups), group = uint(i % groups);
        U32x4 y = U32x4(p.y + i * 64);
        uvec4 low = uvec4(0), high = uvec4(0);
        GroupScale s = group_scale(0.0, 0.0, 0.0);
        if (group < p.w.groups) {
            const uint g = row * p.w.stride + group;
            load_quants(p.w, g, low, high);
            s = load_scale(p.w, g);
        }
        y.v[0] = eight(low.xy, s.low, s.minimum);
        y.v[1] = eight(low.zw, s.low, s.minimum);
        y.v[2] = eight(high.xy, s.high, s.upper_minimum);
        y.v[3] = eight(high.zw, s.high, s.upper_minimum);
    }
}
