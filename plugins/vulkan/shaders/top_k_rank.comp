// TOP_K for a large k, second step: the place of a picked element is the number of picked elements
// before it. A thread counts for one element.
#version 460
#include "common.glsl"
#include "order.glsl"

const uint kThreads = 256;
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { SelectParams p; };

shared uint orders[kThreads];
shared uint places[kThreads];

void main() {
    const uint i = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.y; row < p.rows; row += gl_NumWorkGroups.y) {
        F32 x = F32(p.x + uint64_t(row) * p.stride * 4);
        U32 picked = U32(p.picked + uint64_t(row) * p.k * 4);
        for (uint base = gl_WorkGroupID.x * kThreads; base < p.k;
             base += gl_NumWorkGroups.x * kThreads) {
            const bool mine = base + i < p.k;
            const uint self = mine ? picked.v[base + i] : 0;
            const uint order = mine ? order_of(x.v[self]) : 0;
            uint rank = 0;
            for (uint other = 0; other < p.k; other += kThreads) {
                if (other + i < p.k) {
                    places[i] = picked.v[other + i];
                    orders[i] = order_of(x.v[places[i]]);
                }
                barrier();
                const uint count = min(kThreads, p.k - other);
                for (uint j = 0; j < count; ++j)
                    if (orders[j] > order || (orders[j] == order && places[j] < self)) ++rank;
                barrier();
            }
            if (!mine) continue;
            F32(p.values).v[row * p.k + rank] = x.v[self];
            I32(p.indices).v[row * p.k + rank] = int(self);
        }
    }
}
