// MATMUL for many rows of x: tiles of 64 rows of w by 64 rows of x in local memory, 32 deep, decoded to
// floats on the way. A thread makes 4 by 4 results. -DTYPE=n: w of that plain type, else in planes.
#ifdef TYPE
#include "common.h"
#else
#include "types/type.h"
#endif

enum { kTile = 64, kDepth = 32, kPitch = 68 };

// Elements [depth, depth + 32) of 64 rows of w; zeros beyond the matrix. Four threads have a row.
void load_w(const MatmulParams *p, Weights w, local float *tile, uint first, uint depth) {
    const uint i = get_local_id(0), row = i / 4, part = i % 4;
#ifdef TYPE
    for (uint j = 0; j < 8; ++j) {
        const uint at = depth + part * 8 + j;
        float value = 0.0f;
        if (first + row < p->n && at < p->k)
            value = load_plain(
                TYPE, w + p->w.plane[0] + (ulong)(first + row) * p->w.stride * plain_size(TYPE), at);
        tile[(part * 8 + j) * kPitch + row] = value;
    }
#else
    uint2 words = (uint2)(0);
    float3 scale = (float3)(0.0f);
    if (first + row < p->n) {
        const ulong g = (ulong)(first + row) * p->w.stride + depth / 32;
        words = load_part(w, &p->w, g, part);
        scale = load_scale(w, &p->w, g);
    }
    const float4 low = scale.x * convert_float4(as_char4(words.x)) - scale.z;
    const float4 high = scale.y * convert_float4(as_char4(words.y)) - scale.z;
    local float *column = tile + part * 4 * kPitch + row;
    column[0] = low.x;
    column[kPitch] = low.y;
    column[2 * kPitch] = low.z;
    column[3 * kPitch] = low.w;
    column[16 * kPitch] = high.x;
    column[17 * kPitch] = high.y;
    column[18 * kPitch] = high.z;
    column[19 * kPitch] = high.w;
#endif
}

void load_x(const MatmulParams *p, Bytes x_bytes, local float *tile, uint first, uint depth) {
    const uint i = get_local_id(0), row = i / 4, part = i % 4;
    global const float *x =
        AT(float, x_bytes, row_at(&p->x, p->n1, p->n2, min(first + row, p->rows - 1), 4));
    for (uint j = 0; j < 8; ++j) {
        const uint at = depth + part * 8 + j;
        tile[(part * 8 + j) * kPitch + row] = first + row < p->rows && at < p->k ? x[at] : 0.0f;
    }
}

void store_row(const MatmulParams *p, Bytes y_bytes, Bytes add_bytes, uint row, uint n, float4 v) {
    if (row >= p->rows) return;
    const float values[4] = {v.x, v.y, v.z, v.w};
    for (uint j = 0; j < 4 && n + j < p->n; ++j) {
        float value = values[j];
        if (p->add_at != kNone)
            value += AT(float, add_bytes, p->add_at)[(ulong)row * p->add_stride + n + j];
        AT(float, y_bytes, p->y_at)[(ulong)row * p->n + n + j] = value;
    }
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
matmul_tile(const MatmulParams p, Weights w, Bytes x_bytes, Bytes y_bytes, Bytes add_bytes) {
    local float tile_w[kDepth * kPitch] __attribute__((aligned(16)));
    local float tile_x[kDepth * kPitch] __attribute__((aligned(16)));
    const uint i = get_local_id(0), n = i % 16 * 4, t = i / 16 * 4;
    const uint first_n = get_group_id(0) * kTile;
    for (uint first_t = get_group_id(1) * kTile; first_t < p.rows;
         first_t += get_num_groups(1) * kTile) {
        float4 sum0 = (float4)(0.0f), sum1 = sum0, sum2 = sum0, sum3 = sum0;
        for (uint depth = 0; depth < p.k; depth += kDepth) {
            load_w(&p, w, tile_w, first_n, depth);
            load_x(&p, x_bytes, tile_x, first_t, depth);
            barrier(CLK_LOCAL_MEM_FENCE);
            for (uint d = 0; d < kDepth; ++d) {
                const float4 row = *(local const float4 *)(tile_w + d * kPitch + n);
                const float4 x = *(local const float4 *)(tile_x + d * kPitch + t);
                sum0 += row * x.x;
                sum1 += row * x.y;
                sum2 += row * x.z;
                sum3 += row * x.w;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        store_row(&p, y_bytes, add_bytes, first_t + t, first_n + n, sum0);
        store_row(&p, y_bytes, add_bytes, first_t + t + 1, first_n + n, sum1);
        store_row(&p, y_bytes, add_bytes, first_t + t + 2, first_n + n, sum2);
        store_row(&p, y_bytes, add_bytes, first_t + t + 3, first_n + n, sum3);
    }
}
