// EXPERT_MATMUL of many lines, sorted by expert_sort.comp: tiles of 64 rows of an expert's matrix by up to
// 32 of its lines in shared memory, 32 deep, decoded to floats on the way. A thread makes 4 by 2 results.
// TYPE_PLAIN: w of type kType.
#version 460
#include "common.glsl"
#include "experts.glsl"
#ifndef TYPE_PLAIN
#include "types/type.glsl"
#endif

const uint kTileN = 64, kDepth = 32;
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kType = 0;
layout(constant_id = 1) const uint kMostTiles = 1;
layout(push_constant) uniform Push { ExpertParams p; };

shared float tile_w[kDepth][kTileN + 1];
shared float tile_x[kDepth][kTileLines + 1];
shared uint lines[kTileLines];

// Elements [depth, depth + 32) of 64 rows of expert e's matrix; zeros beyond it.
void load_w(uint e, uint first, uint depth) {
    const uint i = gl_LocalInvocationID.x, row = i / 4, part = i % 4;
#ifdef TYPE_PLAIN
    const uint64_t begin = uint64_t(e) * p.expert_stride + uint64_t(first + row) * p.w.stride;
    for (uint j = 0; j < 8; ++j) {
        const uint at = depth + part * 8 + j;
        float value = 0.0;
        if (first + row < p.n && at < p.k)
            value = load_plain(kType, p.w.plane[0] + begin * plain_size(kType), at);
        tile_w[part * 8 + j][row] = value;
    }
#else
    uvec2 words = uvec2(0);
    GroupScale scale = group_scale(0.0, 0.0, 0.0);
    if (first + row < p.n) {
        const uint g = e * p.expert_stride + (first + row) * p.w.stride + depth / 32;
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

void load_x(uint count, uint depth) {
    const uint i = gl_LocalInvocationID.x, row = i / 8, part = i % 8;
    const uint64_t x = row_address(p.x, 1, p.chosen, lines[min(row, count - 1)], 4);
    for (uint j = 0; j < 4; ++j) {
        const uint at = depth + part * 4 + j;
        tile_x[part * 4 + j][row] = row < count && at < p.k ? F32(x).v[at] : 0.0;
    }
}

void multiply(uint e, uint count, uint first_n) {
    const uint i = gl_LocalInvocationID.x, my_n = i % 16 * 4, my_line = i / 16 * 2;
    vec4 sums[2] = vec4[2](vec4(0.0), vec4(0.0));
    for (uint depth = 0; depth < p.k && e < p.experts; depth += kDepth) {
        load_w(e, first_n, depth);
        load_x(count, depth);
        barrier();
        for (uint d = 0; d < kDepth; ++d) {
            const vec4 w = vec4(tile_w[d][my_n], tile_w[d][my_n + 1], tile_w[d][my_n + 2],
                                tile_w[d][my_n + 3]);
            sums[0] += w * tile_x[d][my_line];
            sums[1] += w * tile_x[d][my_line + 1];
        }
        barrier();
    }
    for (uint t = 0; t < 2 && my_line + t < count; ++t) {
        F32 y = F32(p.y + uint64_t(lines[my_line + t]) * p.n * 4);
        for (uint j = 0; j < 4; ++j) {
            const uint n = first_n + my_n + j;
            if (n >= p.n) continue;
            float value = sums[t][j];
            if (p.bias != 0 && e < p.experts)
                value += F32(p.bias + uint64_t(e) * p.bias_stride * 4).v[n];
            y.v[n] = value;
        }
    }
}

void main() {
    Order order = Order(p.ids);
    const uint tiles = order.v[0], list = lines_at(kMostTiles, p.experts);
    for (uint tile = gl_WorkGroupID.y; tile < tiles; tile += gl_NumWorkGroups.y) {
        const uint e = order.v[1 + 3 * tile], first = order.v[2 + 3 * tile];
        const uint count = order.v[3 + 3 * tile], i = gl_LocalInvocationID.x;
        barrier();
        if (i < count) lines[i] = order.v[list + first + i];
        barrier();
        for (uint n = gl_WorkGroupID.x * kTileN; n < p.n; n += gl_NumWorkGroups.x * kTileN)
            multiply(e, count, n);
    }
}
