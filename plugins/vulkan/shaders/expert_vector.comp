// EXPERT_MATMUL of few lines with matrices in planes: for each line 32 threads, a team, take a row of its
// expert's matrix at a time. x in 8 bits, as in matvec_quant.comp.
#version 460
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#include "common.glsl"
#include "dot.glsl"
#include "experts.glsl"
#include "types/type.glsl"
#include "types/minima.glsl"

const uint kThreads = 256, kLanes = 32, kTeams = kThreads / kLanes;
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { ExpertVectorParams p; };

shared float exchanged[kThreads];

bool teams_are_subgroups() { return gl_SubgroupSize == kLanes && gl_NumSubgroups == kTeams; }
uint self() {
    return teams_are_subgroups() ? gl_SubgroupID * kLanes + gl_SubgroupInvocationID
                                 : gl_LocalInvocationID.x;
}

float sum_of_team(float share) {
    if (teams_are_subgroups()) return subgroupAdd(share);
    const uint lane = self() % kLanes;
    barrier();
    exchanged[self()] = share;
    barrier();
    for (uint n = kLanes / 2; n > 0; n >>= 1) {
        if (lane < n) exchanged[self()] += exchanged[self() + n];
        barrier();
    }
    return exchanged[self() - lane];
}

// Group g of a row of w by group x of the quantised vectors.
float product(RawGroup raw, uint g, uint x) {
    uvec4 low, high;
    quants_of(raw, low, high);
    const GroupScale scale = scale_of(raw, g);
    const uvec4 xl = U32x4(p.q).v[x], xh = U32x4(p.q).v[p.x_lines * p.w.groups + x];
    const vec2 s = F32x2(p.s).v[x];
    const int dl = dot4(low.x, xl.x) + dot4(low.y, xl.y) + dot4(low.z, xl.z) + dot4(low.w, xl.w);
    const int dh =
        dot4(high.x, xh.x) + dot4(high.y, xh.y) + dot4(high.z, xh.z) + dot4(high.w, xh.w);
    const float sum = kOneScale ? scale.low * float(dl + dh)
                                : scale.low * float(dl) + scale.high * float(dh);
    return s.x * sum - minima_of(scale, s, xl, xh);
}

void main() {
    const uint lane = self() % kLanes, team = self() / kLanes, step = gl_NumWorkGroups.x * kTeams;
    const uint line = gl_WorkGroupID.y;
    const uint e = expert_of(p.ids, p.ids_stride, p.chosen, p.experts, line);
    const uint x = (p.own != 0 ? line : line / p.chosen) * p.w.groups;
    for (uint first = gl_WorkGroupID.x * kTeams; first < p.n; first += step) {
        const uint row = min(first + team, p.n - 1);
        float share = 0.0;
        if (e < p.experts) {
            const uint begin = e * p.expert_stride + row * p.w.stride;
            [[dont_unroll]] for (uint g = lane; g < p.w.groups; g += kLanes)
                share += product(load_raw(p.w, begin + g), g, x + g);
        }
        float value = sum_of_team(share);
        if (lane != 0 || first + team >= p.n) continue;
        if (p.bias != 0 && e < p.experts)
            value += F32(p.bias + uint64_t(e) * p.bias_stride * 4).v[row];
        F32(p.y + uint64_t(line) * p.n * 4).v[row] = value;
    }
}
