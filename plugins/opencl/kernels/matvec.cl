// MATMUL of up to COLUMNS vectors with matrices in planes that lie one behind the other: 32 threads, a
// team, for ROWS rows of w, each thread with every 32nd group, BATCH of them under way at a time. Groups
// of integers are exact; their sums are scaled and added in F32.
#include "types/type.h"
#include "dot.h"
#include "team.h"

kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
matvec(const MatvecQuantParams p, Weights w, Weights q_bytes, Bytes y0, Bytes y1, Bytes y2,
       Bytes add0, Bytes add1, Bytes add2) {
    local float shared[128];
    const uint lane = get_local_id(0) % 32, team = get_local_id(0) / 32, step = 4 * ROWS;
    global const uint4 *q = CONST_AT(uint4, q_bytes, p.q_at);
    global const float2 *s = CONST_AT(float2, q_bytes, p.s_at);
    for (uint first = get_group_id(0) * step; first < p.n; first += get_num_groups(0) * step) {
        float sums[ROWS][COLUMNS];
        for (uint i = 0; i < ROWS * COLUMNS; ++i)
            sums[i / COLUMNS][i % COLUMNS] = 0.0f;
        for (uint begin = lane; begin < p.w.groups; begin += 32 * BATCH) {
            uint4 low[BATCH][ROWS], high[BATCH][ROWS];
            float3 scale[BATCH][ROWS];
            // Places beyond the end are clamped, not skipped: all loads go out together.
#pragma unroll
            for (uint j = 0; j < BATCH * ROWS; ++j) {
                const uint b = j / ROWS, r = j % ROWS, row = first + team * ROWS + r;
                const ulong g = (ulong)min(row, p.n - 1) * p.w.stride +
                                min(begin + 32 * b, p.w.groups - 1);
                load_quants(w, &p.w, g, &low[b][r], &high[b][r]);
                scale[b][r] = load_scale(w, &p.w, g);
            }
#pragma unroll
            for (uint j = 0; j < BATCH * COLUMNS; ++j) {
                const uint b = j / COLUMNS, c = j % COLUMNS, i = begin + 32 * b;
                const uint at = min(c, p.rows - 1) * p.w.groups + min(i, p.w.groups - 1);
                const uint4 x_low = q[2 * at], x_high = q[2 * at + 1];
                const float2 x = i < p.w.groups ? s[at] : (float2)(0.0f);
#pragma unroll
                for (uint r = 0; r < ROWS; ++r)
                    sums[r][c] += x.x * (scale[b][r].x * dot16(low[b][r], x_low) +
                                         scale[b][r].y * dot16(high[b][r], x_high)) -
                                  scale[b][r].z * x.y;
            }
        }
        for (uint r = 0; r < ROWS; ++r) {
            // The segment of this row.
            const uint row = first + team * ROWS + r;
            const bool second = row >= p.segment[0].end, third = row >= p.segment[1].end;
            const Segment to = third ? p.segment[2] : second ? p.segment[1] : p.segment[0];
            const uint begin = third ? p.segment[1].end : second ? p.segment[0].end : 0;
            global float *y = AT(float, third ? y2 : second ? y1 : y0, to.y_at);
            global const float *add = AT(float, third ? add2 : second ? add1 : add0, to.add_at);
            for (uint c = 0; c < COLUMNS; ++c) {
                float value = team_sum(shared, sums[r][c]);
                if (lane != 0 || row >= p.n || c >= p.rows) continue;
                if (to.add_at != kNone) value += add[(ulong)c * to.add_stride + row - begin];
                y[(ulong)c * (to.end - begin) + row - begin] = value;
            }
        }
    }
}
