// EXPERT_MATMUL of few lines with matrices of a plain type: for each line 32 threads take a row of its
// expert's matrix at a time.
#version 460
#include "common.glsl"
#include "experts.glsl"

const uint kThreads = 256, kLanes = 32, kTeams = kThreads / kLanes;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kType = 0;
layout(push_constant) uniform Push { ExpertParams p; };

shared float shares[kThreads];

void main() {
    const uint self = gl_LocalInvocationID.x, lane = self % kLanes, team = self / kLanes;
    const uint line = gl_WorkGroupID.y, step = gl_NumWorkGroups.x * kTeams;
    const uint e = expert_of(p.ids, p.ids_stride, p.chosen, p.experts, line);
    F32 x = F32(row_address(p.x, 1, p.chosen, line, 4));
    for (uint first = gl_WorkGroupID.x * kTeams; first < p.n; first += step) {
        const uint row = min(first + team, p.n - 1);
        float share = 0.0;
        if (e < p.experts) {
            const uint64_t begin = uint64_t(e) * p.expert_stride + uint64_t(row) * p.w.stride;
            for (uint i = lane; i < p.k; i += kLanes)
                share += load_plain(kType, p.w.plane[0] + begin * plain_size(kType), i) * x.v[i];
        }
        shares[self] = share;
        barrier();
        for (uint n = kLanes / 2; n > 0; n >>= 1) {
            if (lane < n) shares[self] += shares[self + n];
            barrier();
        }
        if (lane == 0 && first + team < p.n) {
            float value = shares[self];
            if (p.bias != 0 && e < p.experts)
                value += F32(p.bias + uint64_t(e) * p.bias_stride * 4).v[row];
            F32(p.y + uint64_t(line) * p.n * 4).v[row] = value;
        }
        barrier();
    }
}
