// ARGMAX, and TOP_K for a small k: a workgroup finds the best element of a row after the last one
// that it found, k times. Best: largest, lowest index on a tie.
#include "common.h"
#include "order.h"

bool before(uint order_a, uint a, uint order_b, uint b) {
    return order_a > order_b || (order_a == order_b && a < b);
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
select_best(const SelectParams p, Bytes x_bytes, Bytes values_bytes, Bytes indices_bytes) {
    local uint best_order[256], best_index[256];
    const uint i = get_local_id(0);
    for (uint row = get_group_id(0); row < p.rows; row += get_num_groups(0)) {
        global const float *x = AT(float, x_bytes, p.x_at) + (ulong)row * p.stride;
        uint last_order = 0xffffffffu, last = 0;
        for (uint round = 0; round < p.k; ++round) {
            uint order = 0, index = 0xffffffffu;
            for (uint at = i; at < p.inner; at += 256) {
                uint mine = order_of(x[at]);
                // NaN counts as -Inf for ARGMAX.
                if (p.values_at == kNone) mine = max(mine, 0x007fffffu);
                if (round && !before(last_order, last, mine, at)) continue;
                if (index == 0xffffffffu || before(mine, at, order, index)) {
                    order = mine;
                    index = at;
                }
            }
            best_order[i] = order;
            best_index[i] = index;
            barrier(CLK_LOCAL_MEM_FENCE);
            for (uint n = 128; n > 0; n >>= 1) {
                if (i < n && best_index[i + n] != 0xffffffffu &&
                    (best_index[i] == 0xffffffffu ||
                     before(best_order[i + n], best_index[i + n], best_order[i], best_index[i]))) {
                    best_order[i] = best_order[i + n];
                    best_index[i] = best_index[i + n];
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            last_order = best_order[0];
            last = best_index[0];
            barrier(CLK_LOCAL_MEM_FENCE);
            if (i == 0) {
                AT(int, indices_bytes, p.indices_at)[(ulong)row * p.k + round] = (int)last;
                if (p.values_at != kNone)
                    AT(float, values_bytes, p.values_at)[(ulong)row * p.k + round] = x[last];
            }
        }
    }
}
