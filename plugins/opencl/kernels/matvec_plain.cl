// MATMUL of up to COLUMNS vectors with a matrix of the plain type TYPE: 32 threads for a row of w.
#include "common.h"
#include "team.h"

kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
matvec_plain(const MatmulParams p, Weights w_bytes, Bytes x_bytes, Bytes y_bytes, Bytes add_bytes) {
    local float shared[128];
    const uint lane = get_local_id(0) % 32, part = get_local_id(0) / 32;
    for (uint first = get_group_id(0) * 4; first < p.n; first += get_num_groups(0) * 4) {
        const uint row = first + part;
        Weights w = w_bytes + p.w.plane[0] +
                    (ulong)min(row, p.n - 1) * p.w.stride * plain_size(TYPE);
        float sums[COLUMNS];
        for (uint c = 0; c < COLUMNS; ++c)
            sums[c] = 0.0f;
        for (uint i = lane; i < p.k; i += 32) {
            const float value = load_plain(TYPE, w, i);
            for (uint c = 0; c < COLUMNS; ++c)
                sums[c] += value * AT(float, x_bytes, row_at(&p.x, p.n1, p.n2,
                                                             min(c, p.rows - 1), 4))[i];
        }
        for (uint c = 0; c < COLUMNS; ++c) {
            float value = team_sum(shared, sums[c]);
            if (lane != 0 || row >= p.n || c >= p.rows) continue;
            if (p.add_at != kNone)
                value += AT(float, add_bytes, p.add_at)[(ulong)c * p.add_stride + row];
            AT(float, y_bytes, p.y_at)[(ulong)c * p.n + row] = value;
        }
    }
}
