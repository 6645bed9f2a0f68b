// TOP_K for a large k: an element's place is the number of elements before it. A thread counts for
// one element.
#version 460
#include "common.glsl"
#include "order.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { SelectParams p; };

shared uint orders[256];

void main() {
    const uint i = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.y; row < p.rows; row += gl_NumWorkGroups.y) {
        F32 x = F32(p.x + uint64_t(row) * p.stride * 4);
        for (uint base = gl_WorkGroupID.x * 256; base < p.inner; base += gl_NumWorkGroups.x * 256) {
            const uint self = base + i;
            const uint mine = self < p.inner ? order_of(x.v[self]) : 0;
            uint rank = 0;
            for (uint other = 0; other < p.inner; other += 256) {
                orders[i] = other + i < p.inner ? order_of(x.v[other + i]) : 0;
                barrier();
                const uint count = min(256u, p.inner - other);
                for (uint j = 0; j < count; ++j)
                    if (orders[j] > mine || (orders[j] == mine && other + j < self)) ++rank;
                barrier();
            }
            if (self < p.inner && rank < p.k) {
                F32(p.values).v[row * p.k + rank] = x.v[self];
                I32(p.indices).v[row * p.k + rank] = int(self);
            }
        }
    }
}
