// KV_WRITE: rows into cells of a cache of type kType. A thread writes one element, or one block of
// Q8_0.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kType = 0;
layout(push_constant) uniform Push { KvWriteParams p; };

// F16 scale, then 32 signed bytes, nearest to the stored scale.
void write_q8_0(F32 x, U16 y) {
    float most = 0.0;
    for (uint i = 0; i < 32; ++i)
        most = max(most, abs(x.v[i]));
    const uint d = float_to_half(most / 127.0);
    const float scale = half_to_float(d), factor = scale > 0.0 ? 1.0 / scale : 0.0;
    y.v[0] = uint16_t(d);
    for (uint i = 0; i < 32; i += 2) {
        const int a = int(clamp(roundEven(x.v[i] * factor), -127.0, 127.0));
        const int b = int(clamp(roundEven(x.v[i + 1] * factor), -127.0, 127.0));
        y.v[1 + i / 2] = uint16_t((uint(a) & 255u) | ((uint(b) & 255u) << 8));
    }
}

void main() {
    const uint piece = kType == kQ8_0 ? 32 : 1, pieces = p.inner / piece;
    const uint total = p.tokens * p.heads * pieces;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / pieces, at = i % pieces, head = row % p.heads;
        const int cell = I32(p.cells).v[row / p.heads];
        if (cell < 0 || uint(cell) >= p.capacity) continue;
        const uint64_t x = row_address(p.x, 1, p.heads, row, 4);
        const uint64_t units = uint64_t(cell) * p.cell_stride + uint64_t(head) * p.head_stride;
        if (kType == kF32) F32(p.cache + units * 4).v[at] = F32(x).v[at];
        else if (kType == kF16) U16(p.cache + units * 2).v[at] = uint16_t(float_to_half(F32(x).v[at]));
        else write_q8_0(F32(x + uint64_t(at) * 128), U16(p.cache + units * 2 + uint64_t(at) * 34));
    }
}
