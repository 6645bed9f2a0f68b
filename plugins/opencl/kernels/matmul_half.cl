// MATMUL for many rows of x, x and w in F16, on NVIDIA's matrix units: F16 products, F32 sums. A
// workgroup makes TILE_T (128 or 64) rows of x by 128 of w, 32 deep at a time, each of its 4 warps half
// of either; two slices are on their way while a third one is multiplied. x comes from half_rows.cl, w
// lies in rows of `stride` elements, whole 16 bytes. k is a multiple of 32.
#include "common.h"
#include "mma.h"

enum {
    kThreads = 128,
    kTileN = 128,
    kDepth = 32,
    kStages = 3,
    kRowBytes = kDepth * 2,
    kTilesT = TILE_T / 32, // of 16 rows of x, for a warp
    kTilesN = kTileN / 16  // of 8 rows of w
};
enum { kStageBytes = (TILE_T + kTileN) * kRowBytes };

// Where chunk `c` (16 bytes) of row `row` lies in a tile: eight rows' chunks in eight places of 128 bytes.
uint place_of(uint row, uint c) { return row * kRowBytes + ((c ^ (row / 2 % 4)) * 16); }

// Brings `count` rows of 32 elements to local memory; rows from `most` on are the last one again.
void load_rows(uint to, global const uchar *from, ulong row_bytes, uint first, uint most,
               uint count) {
    const uint c = get_local_id(0) % 4;
#pragma unroll
    for (uint row = get_local_id(0) / 4; row < count; row += kThreads / 4)
        copy_ahead(to + place_of(row, c),
                   from + (ulong)min(first + row, most - 1) * row_bytes + c * 16, 16);
}

void load_stage(const MatmulHalfParams *p, Weights w, Weights x_bytes, uint to, uint first_t,
                uint first_n, uint depth) {
    load_rows(to, x_bytes + p->x_at + depth * 2, (ulong)p->k * 2, first_t, p->rows, TILE_T);
    load_rows(to + TILE_T * kRowBytes, w + p->w_at + depth * 2, (ulong)p->stride * 2, first_n, p->n,
              kTileN);
}

// All products of a slice in local memory: the warp's rows of x and w.
void multiply(float c[kTilesT][kTilesN][4], uint tile, uint warp_t, uint warp_n) {
    const uint lane = get_local_id(0) % 32;
#pragma unroll
    for (uint k = 0; k < 2; ++k) {
        uint a[kTilesT][4], b[kTilesN / 2][4];
#pragma unroll
        for (uint m = 0; m < kTilesT; ++m)
            load_matrices(a[m], tile + place_of(warp_t + 16 * m + lane % 16, 2 * k + lane / 16));
#pragma unroll
        for (uint n = 0; n < kTilesN / 2; ++n)
            load_matrices(b[n], tile + TILE_T * kRowBytes +
                                    place_of(warp_n + 16 * n + lane % 8 + lane / 16 * 8,
                                             2 * k + lane / 8 % 2));
#pragma unroll
        for (uint m = 0; m < kTilesT; ++m)
#pragma unroll
            for (uint n = 0; n < kTilesN; ++n)
                mma(c[m][n], a[m], b[n / 2] + n % 2 * 2);
    }
}

void store_pair(const MatmulHalfParams *p, Bytes y_bytes, Bytes add_bytes, uint t, uint n, float2 v) {
    if (t >= p->rows || n >= p->n) return;
    const bool both = n + 1 < p->n;
    if (p->add_at != kNone) {
        global const float *add = AT(float, add_bytes, p->add_at) + (ulong)t * p->add_stride + n;
        v.x += add[0];
        if (both) v.y += add[1];
    }
    global float *y = AT(float, y_bytes, p->y_at) + (ulong)t * p->n + n;
    if (p->n % 2 == 0) {
        *(global float2 *)y = v;
        return;
    }
    y[0] = v.x;
    if (both) y[1] = v.y;
}

kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
matmul_half(const MatmulHalfParams p, Weights w, Weights x_bytes, Bytes y_bytes, Bytes add_bytes) {
    local uchar stages[kStages * kStageBytes] __attribute__((aligned(128)));
    const uint self = get_local_id(0), warp = self / 32, lane = self % 32;
    const uint first_t = get_group_id(0) * TILE_T, first_n = get_group_id(1) * kTileN;
    const uint warp_t = warp / 2 * (TILE_T / 2), warp_n = warp % 2 * (kTileN / 2);
    const uint base = address_of(stages), steps = p.k / kDepth;
    float c[kTilesT][kTilesN][4];
#pragma unroll
    for (uint i = 0; i < kTilesT * kTilesN * 4; ++i)
        c[i / 4 / kTilesN][i / 4 % kTilesN][i % 4] = 0.0f;
#pragma unroll
    for (uint s = 0; s < kStages - 1; ++s) {
        if (s < steps)
            load_stage(&p, w, x_bytes, base + s * kStageBytes, first_t, first_n, s * kDepth);
        close_group();
    }
    uint at = 0, ahead = kStages - 1; // stages
#pragma unroll 1
    for (uint step = 0; step < steps; ++step) {
        wait_ahead(1); // kStages - 2
        barrier(CLK_LOCAL_MEM_FENCE);
        if (step + kStages - 1 < steps)
            load_stage(&p, w, x_bytes, base + ahead * kStageBytes, first_t, first_n,
                       (step + kStages - 1) * kDepth);
        close_group();
        multiply(c, base + at * kStageBytes, warp_t, warp_n);
        at = at + 1 == kStages ? 0 : at + 1;
        ahead = ahead + 1 == kStages ? 0 : ahead + 1;
    }
    wait_ahead(0);
#pragma unroll
    for (uint m = 0; m < kTilesT; ++m)
#pragma unroll
        for (uint j = 0; j < 2; ++j) {
            const uint t = first_t + warp_t + 16 * m + 8 * j + lane / 4;
            const float scale = CONST_AT(float, x_bytes, p.scales_at)[min(t, p.rows - 1)];
#pragma unroll
            for (uint n = 0; n < kTilesN; ++n)
                store_pair(&p, y_bytes, add_bytes, t, first_n + warp_n + 8 * n + lane % 4 * 2,
                           scale * (float2)(c[m][n][2 * j], c[m][n][2 * j + 1]));
        }
}
