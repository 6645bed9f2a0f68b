// MATMUL of up to COLUMNS vectors with matrices in planes that lie one behind the other: 32 threads for a
// row of w, each with every 32nd group. Groups of integers are exact; their sums are scaled and added in
// F32.
#include "types/type.h"
#include "dot.h"
#include "team.h"

kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
matvec(const MatvecQuantParams p, Weights w, Bytes q_bytes, Bytes y0, Bytes y1, Bytes y2, Bytes add0,
       Bytes add1, Bytes add2) {
    local float shared[128];
    const uint lane = get_local_id(0) % 32, part = get_local_id(0) / 32;
    global const uint4 *q = CONST_AT(uint4, q_bytes, p.q_at);
    global const float2 *s = CONST_AT(float2, q_bytes, p.s_at);
    for (uint first = get_group_id(0) * 4; first < p.n; first += get_num_groups(0) * 4) {
        const uint row = first + part, source = min(row, p.n - 1);
        float sums[COLUMNS];
        for (uint c = 0; c < COLUMNS; ++c)
            sums[c] = 0.0f;
        for (uint i = lane; i < p.w.groups; i += 32) {
            const ulong g = (ulong)source * p.w.stride + i;
            uint4 low, high;
            load_quants(w, &p.w, g, &low, &high);
            const float3 scale = load_scale(w, &p.w, g);
            for (uint c = 0; c < COLUMNS; ++c) {
                const uint at = min(c, p.rows - 1) * p.w.groups + i;
                const float2 x = s[at];
                sums[c] += x.x * (scale.x * dot16(low, q[2 * at]) +
                                  scale.y * dot16(high, q[2 * at + 1])) -
                           scale.z * x.y;
            }
        }
        // The segment of this row.
        const bool second = row >= p.segment[0].end, third = row >= p.segment[1].end;
        const Segment to = third ? p.segment[2] : second ? p.segment[1] : p.segment[0];
        const uint begin = third ? p.segment[1].end : second ? p.segment[0].end : 0;
        global float *y = AT(float, third ? y2 : second ? y1 : y0, to.y_at);
        global const float *add = AT(float, third ? add2 : second ? add1 : add0, to.add_at);
        for (uint c = 0; c < COLUMNS; ++c) {
            float value = team_sum(shared, sums[c]);
            if (lane != 0 || row >= p.n || c >= p.rows) continue;
            if (to.add_at != kNone) value += add[(ulong)c * to.add_stride + row - begin];
            y[(ulong)c * (to.end - begin) + row - begin] = value;
        }
    }
}
