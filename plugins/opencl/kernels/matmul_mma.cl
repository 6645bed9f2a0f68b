// MATMUL for many rows of x on NVIDIA's matrix units: mma.sync m16n8k16, F16 products, F32 sums (PTX
// ISA, "Warp-level matrix instructions"). A workgroup makes 128 rows of w by 128 of x, 32 deep at a
// time; each of its 8 warps 64 by 32. w is decoded to F16 on the way; x comes from half_rows.cl. k is a
// multiple of 32. -DTYPE=1: w of F16 in rows of whole 16 bytes, else in planes.
#ifdef TYPE
#include "common.h"
#else
#include "types/type.h"
#endif
#include "mma.h"

// Words of local memory from row to row: 20 puts the 32 words of a fragment into 32 banks.
enum { kTile = 128, kDepth = 32, kPitch = 20 };

// Half a row of w, 16 elements: what a thread brings to local memory.
typedef struct {
    uint word[8];
} HalfRow;

HalfRow load_w(const MatmulMmaParams *p, Weights w, uint row, uint depth, uint part) {
    HalfRow out;
#ifdef TYPE
    global const uint4 *from =
        CONST_AT(uint4, w, p->w.plane[0] + ((ulong)row * p->w.stride + depth + part * 16) * 2);
    const uint4 first = from[0], second = from[1];
    out.word[0] = first.x, out.word[1] = first.y, out.word[2] = first.z, out.word[3] = first.w;
    out.word[4] = second.x, out.word[5] = second.y, out.word[6] = second.z, out.word[7] = second.w;
#else
    const ulong g = (ulong)row * p->w.stride + depth / 32;
    const float3 scale = load_scale(w, &p->w, g);
#pragma unroll
    for (uint j = 0; j < 2; ++j) {
        const uint2 words = load_part(w, &p->w, g, part * 2 + j);
        const float4 low = scale.x * convert_float4(as_char4(words.x)) - scale.z;
        const float4 high = scale.y * convert_float4(as_char4(words.y)) - scale.z;
        out.word[2 * j] = half_pair(low.x, low.y);
        out.word[2 * j + 1] = half_pair(low.z, low.w);
        out.word[4 + 2 * j] = half_pair(high.x, high.y);
        out.word[5 + 2 * j] = half_pair(high.z, high.w);
    }
#endif
    return out;
}

void store_w(local uint *tile, const HalfRow *from, uint row, uint part) {
    local uint *to = tile + row * kPitch;
#pragma unroll
    for (uint j = 0; j < 8; ++j)
#ifdef TYPE
        to[part * 8 + j] = from->word[j];
#else
        // Words 0..3: elements 8 part.., 4..7: elements 16 + 8 part...
        to[j / 4 * 8 + part * 4 + j % 4] = from->word[j];
#endif
}

// All products of a tile in local memory: rows w_first.. and x_first.. of a warp.
void multiply(float c[4][4][4], const local uint *tile_w, const local uint *tile_x, uint w_first,
              uint x_first) {
    const uint lane = get_local_id(0) % 32, row = lane / 4, pair = lane % 4;
#pragma unroll
    for (uint k = 0; k < kDepth / 2; k += 8) {
        uint a[4][4], b[4][2];
#pragma unroll
        for (uint m = 0; m < 4; ++m) {
            const local uint *from = tile_w + (w_first + 16 * m + row) * kPitch + k + pair;
            a[m][0] = from[0];
            a[m][1] = from[8 * kPitch];
            a[m][2] = from[4];
            a[m][3] = from[8 * kPitch + 4];
        }
#pragma unroll
        for (uint n = 0; n < 4; ++n) {
            const local uint *from = tile_x + (x_first + 8 * n + row) * kPitch + k + pair;
            b[n][0] = from[0];
            b[n][1] = from[4];
        }
#pragma unroll
        for (uint m = 0; m < 4; ++m)
#pragma unroll
            for (uint n = 0; n < 4; ++n)
                mma(c[m][n], a[m], b[n]);
    }
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
matmul_mma(const MatmulMmaParams p, Weights w, Weights x_bytes, Bytes y_bytes, Bytes add_bytes) {
    local uint tile_w[2][kTile * kPitch], tile_x[2][kTile * kPitch] __attribute__((aligned(16)));
    const uint self = get_local_id(0), row = self / 2, part = self % 2, warp = self / 32;
    const uint first_n = get_group_id(1) * kTile, first_t = get_group_id(0) * kTile;
    const uint w_row = min(first_n + row, p.n - 1), x_row = min(first_t + row, p.rows - 1);
    global const uint4 *x =
        CONST_AT(uint4, x_bytes, p.x_at + (ulong)x_row * p.k * 2) + part * 2;
    float c[4][4][4];
#pragma unroll
    for (uint i = 0; i < 64; ++i)
        c[i / 16][i / 4 % 4][i % 4] = 0.0f;
    HalfRow next = load_w(&p, w, w_row, 0, part);
    uint4 next_x[2] = {x[0], x[1]};
    for (uint depth = 0, at = 0; depth < p.k; depth += kDepth, at ^= 1) {
        store_w(tile_w[at], &next, row, part);
        local uint4 *to = (local uint4 *)(tile_x[at] + row * kPitch + part * 8);
        to[0] = next_x[0];
        to[1] = next_x[1];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (depth + kDepth < p.k) {
            next = load_w(&p, w, w_row, depth + kDepth, part);
            next_x[0] = x[(depth + kDepth) / 8];
            next_x[1] = x[(depth + kDepth) / 8 + 1];
        }
        multiply(c, tile_w[at], tile_x[at], warp / 4 * 64, warp % 4 * 32);
    }
    const uint lane = self % 32;
#pragma unroll
    for (uint i = 0; i < 64; ++i) {
        const uint m = i / 16, n = i / 4 % 4, j = i % 4;
        const uint to_n = first_n + warp / 4 * 64 + 16 * m + j / 2 * 8 + lane / 4;
        const uint to_t = first_t + warp % 4 * 32 + 8 * n + lane % 4 * 2 + j % 2;
        if (to_n >= p.n || to_t >= p.rows) continue;
        float value = c[m][n][j] * CONST_AT(float, x_bytes, p.scales_at)[to_t];
        if (p.add_at != kNone)
            value += AT(float, add_bytes, p.add_at)[(ulong)to_t * p.add_stride + to_n];
        AT(float, y_bytes, p.y_at)[(ulong)to_t * p.n + to_n] = value;
    }
}
