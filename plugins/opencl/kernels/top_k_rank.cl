// TOP_K for a large k, second step: the place of a picked element is the number of picked elements before
// it. A thread counts for one element.
#include "common.h"
#include "order.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
top_k_rank(const SelectParams p, Bytes x_bytes, Bytes picked_bytes, Bytes values_bytes,
           Bytes indices_bytes) {
    local uint orders[256], places[256];
    const uint i = get_local_id(0);
    for (uint row = get_group_id(1); row < p.rows; row += get_num_groups(1)) {
        global const float *x = AT(float, x_bytes, p.x_at) + (ulong)row * p.stride;
        global const uint *picked = AT(uint, picked_bytes, p.picked_at) + (ulong)row * p.k;
        for (uint base = get_group_id(0) * 256; base < p.k; base += get_num_groups(0) * 256) {
            const bool mine = base + i < p.k;
            const uint self = mine ? picked[base + i] : 0;
            const uint order = mine ? order_of(x[self]) : 0;
            uint rank = 0;
            for (uint other = 0; other < p.k; other += 256) {
                if (other + i < p.k) {
                    places[i] = picked[other + i];
                    orders[i] = order_of(x[places[i]]);
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                const uint count = min(256u, p.k - other);
                for (uint j = 0; j < count; ++j)
                    if (orders[j] > order || (orders[j] == order && places[j] < self)) ++rank;
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            if (!mine) continue;
            AT(float, values_bytes, p.values_at)[(ulong)row * p.k + rank] = x[self];
            AT(int, indices_bytes, p.indices_at)[(ulong)row * p.k + rank] = (int)self;
        }
    }
}
