// KV_WRITE into a Q4_0 cache: rows after ROPE, if asked, and the rotation of such caches. A thread writes a
// run.
#version 460
#include "common.glsl"
#include "hadamard.glsl"
#include "rotate.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 1) const bool kRotate = false; // by ROPE
layout(push_constant) uniform Push { KvWriteParams p; };

void read_run(F32 x, uint token, uint first) {
    F32 angles = F32(p.angles + uint64_t(token) * p.pairs * 8);
    for (uint i = 0; i < kRun; ++i)
        run[i] = kRotate ? rotated(x, angles, p.pairs, p.halves != 0, first + i) : x.v[first + i];
}

// Elements [first, first + 32) of the run: F16 scale, the element of largest magnitude / -8, and nibbles.
void write_block(uint first, U16 y) {
    float extreme = 0.0;
    for (uint i = 0; i < 32; ++i)
        if (abs(run[first + i]) > abs(extreme)) extreme = run[first + i];
    const uint d = float_to_half(clamp(extreme / -8.0, -65504.0, 65504.0));
    const float scale = half_to_float(d), inverse = scale != 0.0 ? 1.0 / scale : 0.0;
    y.v[0] = uint16_t(d);
    for (uint i = 0; i < 8; ++i) {
        uint bits = 0;
        for (uint j = 0; j < 4; ++j) { // elements 2i and 2i + 1, then those 16 behind
            const float value = run[first + 2 * i + j % 2 + j / 2 * 16] * inverse;
            const uint level = value > -8.0 ? uint(roundEven(min(value, 7.0)) + 8.0) : 0;
            bits |= level << (8 * (j % 2) + 4 * (j / 2));
        }
        y.v[1 + i] = uint16_t(bits);
    }
}

void main() {
    const uint runs = p.inner / kRun, total = p.tokens * p.heads * runs;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / runs, first = i % runs * kRun;
        const uint head = row % p.heads, token = row / p.heads;
        const int cell = I32(p.cells).v[token];
        if (cell < 0 || uint(cell) >= p.capacity) continue;
        read_run(F32(row_address(p.x, 1, p.heads, row, 4)), token, first);
        transform_run();
        const uint64_t units = uint64_t(cell) * p.cell_stride + uint64_t(head) * p.head_stride;
        for (uint at = 0; at < kRun; at += 32)
            write_block(at, U16(p.cache + units * 2 + uint64_t((first + at) / 32) * 18));
    }
}
