// MATMUL of up to 8 quantised vectors with a matrix in planes: 32 threads, a team, take kRows rows at a
// time, each with every 32nd group. All teams of a core read the same vectors, which its cache keeps: a
// copy in shared memory would take longer to make than it saves. Groups of integers are exact; their
// sums are scaled and added in F32.
#version 460
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#include "common.glsl"
#include "dot.glsl"
#include "types/type.glsl"
#include "types/minima.glsl"

const uint kThreads = 256, kLanes = 32, kTeams = kThreads / kLanes;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kColumns = 1;
layout(constant_id = 1) const uint kRows = 1; // of w that a team takes together
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

// Group g of row r from `row` on, the last ones beyond the ends.
RawGroup load(uint row, uint r, uint g) {
    return load_raw(p.w, min(row + r, p.n - 1) * p.w.stride + min(g, p.w.groups - 1));
}

void multiply(uint row, uint lane) {
    const uint64_t high_bytes = uint64_t(p.rows) * p.w.groups * 16;
    RawGroup next[kRows];
    [[unroll]] for (uint r = 0; r < kRows; ++r)
        next[r] = load(row, r, lane);
    [[dont_unroll]] for (uint g = lane; g < p.w.groups; g += kLanes) {
        uvec4 low[kRows], high[kRows];
        GroupScale scale[kRows];
        [[unroll]] for (uint r = 0; r < kRows; ++r) {
            quants_of(next[r], low[r], high[r]);
            scale[r] = scale_of(next[r], lane); // rows begin with superblocks
            next[r] = load(row, r, g + kLanes);
        }
        [[unroll]] for (uint c = 0; c < kColumns; ++c) {
            const uint at = c * p.w.groups + g;
            const uvec4 xl = U32x4(p.q).v[at], xh = U32x4(p.q + high_bytes).v[at];
            const vec2 s = F32x2(p.s).v[at];
            [[unroll]] for (uint r = 0; r < kRows; ++r) {
                const int dl = dot4(low[r].x, xl.x) + dot4(low[r].y, xl.y) +
                               dot4(low[r].z, xl.z) + dot4(low[r].w, xl.w);
                const int dh = dot4(high[r].x, xh.x) + dot4(high[r].y, xh.y) +
                               dot4(high[r].z, xh.z) + dot4(high[r].w, xh.w);
                const float sum = kOneScale
                                      ? scale[r].low * float(dl + dh)
                                      : scale[r].low * float(dl) + scale[r].high * float(dh);
                sums[r * kColumns + c] += s.x * sum - minima_of(scale[r], s, xl, xh);
            }
        }
    }
}

void main() {
    const uint lane = self() % kLanes, team = self() / kLanes;
    const uint rows = kTeams * kRows, step = gl_NumWorkGroups.x * rows;
    [[dont_unroll]] for (uint base = gl_WorkGroupID.x * rows; base < p.n; base += step) {
        const uint row = base + team * kRows;
        [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i)
            sums[i] = 0.0;
        multiply(row, lane);
        [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i) {
            const uint n = row + i / kColumns, c = i % kColumns;
            float value = sum_of_team(sums[i]);
            if (lane != i || n >= p.n) continue;
            if (p.add != 0) value += F32(p.add + uint64_t(c) * p.add_stride * 4).v[n];
            F32(p.y + uint64_t(c) * p.n * 4).v[n] = value;
        }
    }
}
