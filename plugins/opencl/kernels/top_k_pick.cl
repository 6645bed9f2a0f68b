// TOP_K for a large k, first step: which k elements of a row, in any order. A workgroup finds the order
// of the k-th by counting, 8 bits at a time from the top; then it takes all above it and, of those equal
// to it, the first ones.
#include "common.h"
#include "order.h"

enum { kThreads = 256 };

typedef struct {
    uint counts[256], equal[kThreads];
    uint prefix, wanted, taken, ties;
} Picking;

// Sets `prefix` to the order of the k-th element and `wanted` to how many equal to it are taken.
void find_last(const SelectParams *p, global const float *x, local Picking *l) {
    const uint i = get_local_id(0);
    if (i == 0) {
        l->prefix = 0;
        l->wanted = p->k;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        barrier(CLK_LOCAL_MEM_FENCE);
        l->counts[i] = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint at = i; at < p->inner; at += kThreads) {
            const uint order = order_of(x[at]);
            const bool inside = shift == 24 || (order ^ l->prefix) >> (shift + 8) == 0;
            if (inside) atomic_inc(&l->counts[(order >> shift) & 255u]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (i == 0) {
            uint digit = 255;
            while (digit > 0 && l->counts[digit] < l->wanted)
                l->wanted -= l->counts[digit--];
            l->prefix |= digit << shift;
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
top_k_pick(const SelectParams p, Bytes x_bytes, Bytes picked_bytes) {
    local Picking shared;
    const uint i = get_local_id(0);
    for (uint row = get_group_id(0); row < p.rows; row += get_num_groups(0)) {
        global const float *x = AT(float, x_bytes, p.x_at) + (ulong)row * p.stride;
        global uint *picked = AT(uint, picked_bytes, p.picked_at) + (ulong)row * p.k;
        find_last(&p, x, &shared);
        if (i == 0) shared.taken = shared.ties = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint base = 0; base < p.inner; base += kThreads) {
            const uint at = base + i;
            const uint order = at < p.inner ? order_of(x[at]) : 0;
            if (at < p.inner && order > shared.prefix) picked[atomic_inc(&shared.taken)] = at;
            const bool equal = at < p.inner && order == shared.prefix;
            shared.equal[i] = equal ? 1u : 0u;
            barrier(CLK_LOCAL_MEM_FENCE);
            uint before = shared.ties;
            for (uint j = 0; j < i && equal; ++j)
                before += shared.equal[j];
            // Behind those above it: there are p.k - wanted of them.
            if (equal && before < shared.wanted) picked[p.k - shared.wanted + before] = at;
            barrier(CLK_LOCAL_MEM_FENCE);
            if (equal) atomic_inc(&shared.ties);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
