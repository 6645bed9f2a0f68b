// MATMUL of up to 8 quantised vectors with a matrix in planes: 32 threads, a team, take kRows rows, each
// with every 32nd group. All teams of a core read the same vectors, which its cache keeps. Groups of
// integers are exact; their sums are scaled and added in F32.
#version 460
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#include "common.glsl"
#include "dot.glsl"
#include "types/type.glsl"

const uint kThreads = 256, kLanes = 32, kTeams = kThreads / kLanes;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kColumns = 1;
layout(constant_id = 1) const uint kRows = 2; // of a team
layout(push_constant) uniform Push { MatvecQuantParams p; };

shared float exchanged[kThreads];
float sums[kRows * kColumns];

bool teams_are_subgroups() { return gl_SubgroupSize == kLanes && gl_NumSubgroups == kTeams; }
uint self() {
    return teams_are_subgroups() ? gl_SubgroupID * kLanes + gl_SubgroupInvocationID
                                 : gl_LocalInvocationID.x;
}

float sum_of_team(float share) {
    if (teams_are_subgroups()) return subgroupAdd(share);
    barrier();
    exchanged[self()] = share;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < kLanes; ++i)
        sum += exchanged[self() / kLanes * kLanes + i];
    return sum;
}

void multiply(uint first, uint lane) {
    const uint64_t high_bytes = uint64_t(p.rows) * p.w.groups * 16;
    [[dont_unroll]] for (uint g = lane; g < p.w.groups; g += kLanes) {
        RawGroup raw[kRows];
        [[unroll]] for (uint r = 0; r < kRows; ++r)
            raw[r] = load_raw(p.w, min(first + r, p.n - 1) * p.w.stride + g);
        [[unroll]] for (uint c = 0; c < kColumns; ++c) {
            const uint at = c * p.w.groups + g;
            const uvec4 xl = U32x4(p.q).v[at], xh = U32x4(p.q + high_bytes).v[at];
            const vec2 s = F32x2(p.s).v[at];
            [[unroll]] for (uint r = 0; r < kRows; ++r) {
                uvec4 low, high;
                quants_of(raw[r], low, high);
                const GroupScale scale = scale_of(raw[r], lane); // rows begin with superblocks
                const int dl = dot4(low.x, xl.x) + dot4(low.y, xl.y) + dot4(low.z, xl.z) +
                               dot4(low.w, xl.w);
                const int dh = dot4(high.x, xh.x) + dot4(high.y, xh.y) + dot4(high.z, xh.z) +
                               dot4(high.w, xh.w);
                const float sum = kOneScale ? scale.low * float(dl + dh)
                                            : scale.low * float(dl) + scale.high * float(dh);
                sums[r * kColumns + c] += s.x * sum - scale.minimum * s.y;
            }
        }
    }
}

void main() {
    const uint lane = self() % kLanes, team = self() / kLanes;
    const uint step = gl_NumWorkGroups.x * kTeams * kRows;
    uint first = (gl_WorkGroupID.x * kTeams + team) * kRows;
    for (; first - team * kRows < p.n; first += step) {
        [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i)
            sums[i] = 0.0;
        multiply(first, lane);
        [[unroll]] for (uint r = 0; r < kRows; ++r)
            [[unroll]] for (uint c = 0; c < kColumns; ++c) {
                const uint row = first + r;
                float value = sum_of_team(sums[r * kColumns + c]);
                if (lane != (r * kColumns + c) % kLanes || row >= p.n) continue;
                if (p.add != 0) value += F32(p.add + uint64_t(c) * p.add_stride * 4).v[row];
                F32(p.y + uint64_t(c) * p.n * 4).v[row] = value;
            }
    }
}
