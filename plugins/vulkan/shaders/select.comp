// ARGMAX, and TOP_K for a small k: a workgroup finds the best element of a row after the last one
// that it found, k times. Best: largest, lowest index on a tie.
#version 460
#include "common.glsl"
#include "order.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { SelectParams p; };

shared uint best_order[256];
shared uint best_index[256];

bool before(uint order_a, uint a, uint order_b, uint b) {
    return order_a > order_b || (order_a == order_b && a < b);
}

void main() {
    const uint i = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        F32 x = F32(p.x + uint64_t(row) * p.stride * 4);
        uint last_order = 0xffffffffu, last = 0;
        bool first = true;
        for (uint round = 0; round < p.k; ++round) {
            uint order = 0, index = 0xffffffffu;
            for (uint at = i; at < p.inner; at += 256) {
                uint mine = order_of(x.v[at]);
                // NaN counts as -Inf for ARGMAX.
                if (p.values == 0) mine = max(mine, 0x007fffffu);
                if (!first && !before(last_order, last, mine, at)) continue;
                if (index == 0xffffffffu || before(mine, at, order, index)) {
                    order = mine;
                    index = at;
                }
            }
            best_order[i] = order;
            best_index[i] = index;
            barrier();
            for (uint n = 128; n > 0; n >>= 1) {
                if (i < n && best_index[i + n] != 0xffffffffu &&
                    (best_index[i] == 0xffffffffu ||
                     before(best_order[i + n], best_index[i + n], best_order[i], best_index[i]))) {
                    best_order[i] = best_order[i + n];
                    best_index[i] = best_index[i + n];
                }
                barrier();
            }
            last_order = best_order[0];
            last = best_index[0];
            first = false;
            barrier();
            if (i == 0) {
                I32(p.indices).v[row * p.k + round] = int(last);
                if (p.values != 0) F32(p.values).v[row * p.k + round] = x.v[last];
            }
        }
    }
}
