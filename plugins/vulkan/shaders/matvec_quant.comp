// MATMUL of up to 8 quantised vectors with a matrix in planes: 32 threads, a team, take kRows rows, each
// with every 32nd group. The vectors pass through shared memory, kChunk groups at a time, so that a
// workgroup reads them once; the weights of the next chunk are on their way meanwhile. Groups of
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

const uint kBatch = 2, kChunk = kBatch * kLanes; // groups of a thread, of a workgroup
shared uvec4 x_low[kColumns * kChunk], x_high[kColumns * kChunk];
shared vec2 x_scale[kColumns * kChunk];
shared float exchanged[kThreads];

RawGroup next[kRows * kBatch], raw[kRows * kBatch];
float sums[kRows * kColumns];

bool teams_are_subgroups() { return gl_SubgroupSize == kLanes && gl_NumSubgroups == kTeams; }
uint self() {
    return teams_are_subgroups() ? gl_SubgroupID * kLanes + gl_SubgroupInvocationID
                                 : gl_LocalInvocationID.x;
}

uint group_of(uint chunk, uint b, uint lane) {
    return min(chunk * kChunk + b * kLanes + lane, p.w.groups - 1);
}

// Places beyond the end are clamped, not skipped: all loads go out together.
void load_next(uint first, uint chunk, uint lane) {
    [[unroll]] for (uint r = 0; r < kRows; ++r)
        [[unroll]] for (uint b = 0; b < kBatch; ++b)
            next[r * kBatch + b] = load_raw(p.w, min(first + r, p.n - 1) * p.w.stride +
                                                     group_of(chunk, b, lane));
}

void load_x(uint chunk) {
    for (uint i = self(); i < kColumns * kChunk; i += kThreads) {
        const uint c = i / kChunk, g = chunk * kChunk + i % kChunk;
        const uint at = c * p.w.groups + min(g, p.w.groups - 1);
        x_low[i] = U32x4(p.q).v[2 * at];
        x_high[i] = U32x4(p.q).v[2 * at + 1];
        x_scale[i] = g < p.w.groups ? F32x2(p.s).v[at] : vec2(0.0); // beyond the end nothing counts
    }
}

void add_products(uint first, uint chunk, uint lane) {
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        const uint g = group_of(chunk, b, lane);
        [[unroll]] for (uint r = 0; r < kRows; ++r) {
            uvec4 low, high;
            quants_of(raw[r * kBatch + b], low, high);
            const GroupScale scale =
                scale_of(raw[r * kBatch + b], min(first + r, p.n - 1) * p.w.stride + g);
            [[unroll]] for (uint c = 0; c < kColumns; ++c) {
                const uint at = c * kChunk + b * kLanes + lane;
                const uvec4 xl = x_low[at], xh = x_high[at];
                const vec2 s = x_scale[at];
                const int dl = dot4(low.x, xl.x) + dot4(low.y, xl.y) + dot4(low.z, xl.z) +
                               dot4(low.w, xl.w);
                const int dh = dot4(high.x, xh.x) + dot4(high.y, xh.y) + dot4(high.z, xh.z) +
                               dot4(high.w, xh.w);
                sums[r * kColumns + c] +=
                    s.x * (scale.low * float(dl) + scale.high * float(dh)) - scale.minimum * s.y;
            }
        }
    }
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

void main() {
    const uint lane = self() % kLanes, team = self() / kLanes;
    const uint chunks = (p.w.groups + kChunk - 1) / kChunk;
    const uint step = gl_NumWorkGroups.x * kTeams * kRows;
    uint first = (gl_WorkGroupID.x * kTeams + team) * kRows;
    load_next(first, 0, lane);
    for (; first - team * kRows < p.n; first += step) {
        [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i)
            sums[i] = 0.0;
        for (uint chunk = 0; chunk < chunks; ++chunk) {
            [[unroll]] for (uint i = 0; i < kRows * kBatch; ++i)
                raw[i] = next[i];
            const bool last = chunk + 1 == chunks;
            load_next(last ? first + step : first, last ? 0 : chunk + 1, lane);
            barrier();
            load_x(chunk);
            barrier();
            add_products(first, chunk, lane);
        }
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
