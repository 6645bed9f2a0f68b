// TOP_K for a large k, first step: which k elements of a row, in any order. A workgroup finds the order
// of the k-th by counting, 8 bits at a time from the top; then it takes all above it and, of those equal
// to it, the first ones.
#version 460
#include "common.glsl"
#include "order.glsl"

const uint kThreads = 256;
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { SelectParams p; };

shared uint counts[256];
shared uint equal[kThreads];
shared uint prefix, wanted, taken, ties;

// Sets `prefix` to the order of the k-th element and `wanted` to how many equal to it are taken.
void find_last(F32 x) {
    const uint i = gl_LocalInvocationID.x;
    if (i == 0) {
        prefix = 0;
        wanted = p.k;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        barrier();
        counts[i] = 0;
        barrier();
        for (uint at = i; at < p.inner; at += kThreads) {
            const uint order = order_of(x.v[at]);
            const bool inside = shift == 24 || (order ^ prefix) >> (shift + 8) == 0;
            if (inside) atomicAdd(counts[(order >> shift) & 255u], 1u);
        }
        barrier();
        if (i == 0) {
            uint digit = 255;
            while (digit > 0 && counts[digit] < wanted)
                wanted -= counts[digit--];
            prefix |= digit << shift;
        }
    }
    barrier();
}

void main() {
    const uint i = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        F32 x = F32(p.x + uint64_t(row) * p.stride * 4);
        U32 picked = U32(p.picked + uint64_t(row) * p.k * 4);
        find_last(x);
        if (i == 0) taken = ties = 0;
        barrier();
        for (uint base = 0; base < p.inner; base += kThreads) {
            const uint at = base + i;
            const uint order = at < p.inner ? order_of(x.v[at]) : 0;
            if (at < p.inner && order > prefix) picked.v[atomicAdd(taken, 1u)] = at;
            equal[i] = at < p.inner && order == prefix ? 1u : 0u;
            barrier();
            uint before = ties;
            for (uint j = 0; j < i && equal[i] != 0; ++j)
                before += equal[j];
            // Behind those above it: there are p.k - wanted of them.
            if (equal[i] != 0 && before < wanted) picked.v[p.k - wanted + before] = at;
            barrier();
            if (equal[i] != 0) atomicAdd(ties, 1u);
        }
        barrier();
    }
}
