// TOP_K for a large k: an element's place is the number of elements before it. A thread counts for
// one element.
#include "common.h"
#include "order.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
top_k_rank(const SelectParams p, Bytes x_bytes, Bytes values_bytes, Bytes indices_bytes) {
    local uint orders[256];
    const uint i = get_local_id(0);
    for (uint row = get_group_id(1); row < p.rows; row += get_num_groups(1)) {
        global const float *x = AT(float, x_bytes, p.x_at) + (ulong)row * p.stride;
        for (uint base = get_group_id(0) * 256; base < p.inner; base += get_num_groups(0) * 256) {
            const uint self = base + i;
            const uint mine = self < p.inner ? order_of(x[self]) : 0;
            uint rank = 0;
            for (uint other = 0; other < p.inner; other += 256) {
                orders[i] = other + i < p.inner ? order_of(x[other + i]) : 0;
                barrier(CLK_LOCAL_MEM_FENCE);
                const uint count = min(256u, p.inner - other);
                for (uint j = 0; j < count; ++j)
                    if (orders[j] > mine || (orders[j] == mine && other + j < self)) ++rank;
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            if (self < p.inner && rank < p.k) {
                AT(float, values_bytes, p.values_at)[(ulong)row * p.k + rank] = x[self];
                AT(int, indices_bytes, p.indices_at)[(ulong)row * p.k + rank] = (int)self;
            }
        }
    }
}
