// MATMUL for many rows of x: tiles of 64 rows of w by 32 rows of x in shared memory, 32 deep, decoded
// to floats on the way. A thread makes 4 by 2 results. TYPE_PLAIN: w of type kType.
#version 460
#include "common.glsl"
#ifndef TYPE_PLAIN
#include "types/type.glsl"
#endif

const uint kTileN = 64, kTileT = 32, kDepth = 32;
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kType = 0;
layout(push_constant) uniform Push { MatmulParams p; };

shared float tile_w[kDepth][kTileN + 1];
shared float tile_x[kDepth][kTileT + 1];

// Elements [depth, depth + 32) of 64 rows of w; zeros beyond the matrix.
void load_w(uint first, uint depth) {
    const uint i = gl_LocalInvocationID.x, row = i / 4, part = i % 4;
#ifdef TYPE_PLAIN
    for (uint j = 0; j < 8; ++j) {
        const uint at = depth + part * 8 + j;
        float value = 0.0;
        if (first + row < p.n && at < p.k)
            value = load_plain(kType, p.w.plane[0] + uint64_t(first + row) * p.w.stride *
                                                         plain_size(kType), at);
        tile_w[part * 8 + j][row] = value;
    }
#else
    uvec2 words = uvec2(0);
    GroupScale scale = group_scale(0.0, 0.0, 0.0);
    if (first + row < p.n) {
        const uint g = (first + row) * p.w.stride + depth / 32;
        words = load_part(p.w, g, part);
        scale = load_scale(p.w, g);
    }
    for (uint j = 0; j < 4; ++j) {
        tile_w[part * 4 + j][row] = scale.low * float(signed_byte(words.x, j)) - scale.minimum;
        tile_w[16 + part * 4 + j][row] =
            scale.high * float(signed_byte(words.y, j)) - scale.upper_minimum;
    }
#endif
}

void load_x(uint first, uint depth) {
    const uint i = gl_LocalInvocationID.x, row = i / 8, part = i % 8;
    const uint64_t x = row_address(p.x, p.n1, p.n2, min(first + row, p.rows - 1), 4);
    for (uint j = 0; j < 4; ++j) {
        const uint at = depth + part * 4 + j;
        tile_x[part * 4 + j][row] = first + row < p.rows && at < p.k ? F32(x).v[at] : 0.0;
    }
}

void main() {
    const uint i = gl_LocalInvocationID.x, my_n = i % 16 * 4, my_t = i / 16 * 2;
    const uint first_n = gl_WorkGroupID.x * kTileN;
    for (uint first_t = gl_WorkGroupID.y * kTileT; first_t < p.rows;
         first_t += gl_NumWorkGroups.y * kTileT) {
        vec4 sum0 = vec4(0.0), sum1 = vec4(0.0);
        for (uint depth = 0; depth < p.k; depth += kDepth) {
            load_w(first_n, depth);
            load_x(first_t, depth);
            barrier();
            for (uint d = 0; d < kDepth; ++d) {
                const vec4 w = vec4(tile_w[d][my_n], tile_w[d][my_n + 1], tile_w[d][my_n + 2],
                                    tile_w[d][my_n + 3]);
                sum0 += w * tile_x[d][my_t];
                sum1 += w * tile_x[d][my_t + 1];
            }
            barrier();
        }
        for (uint t = 0; t < 2; ++t) {
            const uint row = first_t + my_t + t;
            if (row >= p.rows) continue;
            for (uint j = 0; j < 4; ++j) {
                const uint n = first_n + my_n + j;
                if (n >= p.n) continue;
                float value = t == 0 ? sum0[j] : sum1[j];
                if (p.add != 0) value += F32(p.add + uint64_t(row) * p.add_stride * 4).v[n];
                F32(p.y + uint64_t(row) * p.n * 4).v[n] = value;
            }
        }
    }
}
