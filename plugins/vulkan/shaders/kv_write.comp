// KV_WRITE: rows into cells of a cache of type kType, rotated on the way (ROPE) if asked. A thread
// writes one element, four of F16 where kFour, or one block of Q8_0.
#version 460
#include "common.glsl"
#include "rotate.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kType = 0;
layout(constant_id = 1) const bool kRotate = false;
layout(constant_id = 2) const bool kFour = false; // rotated_four holds, and cells begin at 8 bytes
layout(push_constant) uniform Push { KvWriteParams p; };

// Element i of token `token`'s row.
float element(F32 x, uint token, uint i) {
    if (!kRotate) return x.v[i];
    return rotated(x, F32(p.angles + uint64_t(token) * p.pairs * 8), p.pairs, p.halves != 0, i);
}

// F16 scale, then 32 signed bytes, nearest to the stored scale.
void write_q8_0(F32 x, uint token, uint first, U16 y) {
    float v[32], most = 0.0;
    for (uint i = 0; i < 32; ++i) {
        v[i] = element(x, token, first + i);
        most = max(most, abs(v[i]));
    }
    const uint d = float_to_half(most / 127.0);
    const float scale = half_to_float(d), factor = scale > 0.0 ? 1.0 / scale : 0.0;
    y.v[0] = uint16_t(d);
    for (uint i = 0; i < 32; i += 2) {
        const int a = int(clamp(roundEven(v[i] * factor), -127.0, 127.0));
        const int b = int(clamp(roundEven(v[i + 1] * factor), -127.0, 127.0));
        y.v[1 + i / 2] = uint16_t((uint(a) & 255u) | ((uint(b) & 255u) << 8));
    }
}

void write_four(F32 row, uint token, uint i, uint64_t y) {
    const uint64_t x = uint64_t(row);
    const vec4 v = kRotate ? rotated_four(x, p.angles + uint64_t(token) * p.pairs * 8, p.pairs,
                                          p.halves != 0, i)
                           : F32x4(x + i * 4).v[0];
    U32x2(y + i * 2).v[0] = uvec2(float_to_half(v.x) | float_to_half(v.y) << 16,
                                  float_to_half(v.z) | float_to_half(v.w) << 16);
}

void main() {
    const uint piece = kType == kQ8_0 ? 32 : kFour ? 4 : 1, pieces = p.inner / piece;
    const uint total = p.tokens * p.heads * pieces;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / pieces, at = i % pieces, head = row % p.heads, token = row / p.heads;
        const int cell = I32(p.cells).v[token];
        if (cell < 0 || uint(cell) >= p.capacity) continue;
        F32 x = F32(row_address(p.x, 1, p.heads, row, 4));
        const uint64_t units = uint64_t(cell) * p.cell_stride + uint64_t(head) * p.head_stride;
        if (kFour)
            write_four(x, token, at * 4, p.cache + units * 2);
        else if (kType == kF32)
            F32(p.cache + units * 4).v[at] = element(x, token, at);
        else if (kType == kF16)
            U16(p.cache + units * 2).v[at] = uint16_t(float_to_half(element(x, token, at)));
        else
            write_q8_0(x, token, at * 32, U16(p.cache + units * 2 + uint64_t(at) * 34));
    }
}
