// MATMUL of up to 8 quantised vectors with a matrix in planes: 32 threads, a team, take kRows rows at a
// time, each with every 32nd group. The vectors lie in shared memory, kChunk groups of each at a time;
// reading them there is what bounds the kernel, so a vector's group serves several rows. Groups of
// integers are exact; their sums are scaled and added in F32.
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
layout(constant_id = 1) const uint kChunk = 32; // a multiple of kLanes
layout(constant_id = 2) const uint kRows = 1;   // of w that a team takes together
layout(push_constant) uniform Push { MatvecQuantParams p; };

const uint kTogether = 4; // loads of a thread under way together
shared uvec4 x_words[2 * kColumns * kChunk]; // lower halves, then upper ones
shared vec2 x_scale[kColumns * kChunk];
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

// Groups from `begin` on of all vectors; beyond the end the scales are zero.
void load_x(uint begin) {
    const uint total = kColumns * kChunk, high = p.rows * p.w.groups;
    barrier();
    [[dont_unroll]] for (uint first = self(); first < 2 * total; first += kThreads * kTogether) {
        uvec4 words[kTogether];
        [[unroll]] for (uint j = 0; j < kTogether; ++j) {
            const uint i = min(first + j * kThreads, 2 * total - 1), at = i % total;
            const uint g = min(begin + at % kChunk, p.w.groups - 1);
            words[j] = U32x4(p.q).v[(i / total) * high + at / kChunk * p.w.groups + g];
        }
        [[unroll]] for (uint j = 0; j < kTogether; ++j)
            if (first + j * kThreads < 2 * total) x_words[first + j * kThreads] = words[j];
    }
    [[dont_unroll]] for (uint i = self(); i < total; i += kThreads) {
        const uint g = begin + i % kChunk;
        const vec2 scale = F32x2(p.s).v[i / kChunk * p.w.groups + min(g, p.w.groups - 1)];
        x_scale[i] = g < p.w.groups ? scale : vec2(0.0);
    }
    barrier();
}

// Groups of a chunk of kRows rows; what a vector's group needs from shared memory serves all of them.
void multiply(uint row, uint begin, uint lane) {
    const uint end = min(kChunk, p.w.groups - begin);
    uint start[kRows];
    RawGroup next[kRows];
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
        start[r] = min(row + r, p.n - 1) * p.w.stride + begin;
        next[r] = load_raw(p.w, start[r] + min(lane, end - 1));
    }
    [[dont_unroll]] for (uint at = lane; at < end; at += kLanes) {
        uvec4 low[kRows], high[kRows];
        GroupScale scale[kRows];
        [[unroll]] for (uint r = 0; r < kRows; ++r) {
            quants_of(next[r], low[r], high[r]);
            scale[r] = scale_of(next[r], lane); // rows and chunks begin with superblocks
            next[r] = load_raw(p.w, start[r] + min(at + kLanes, end - 1));
        }
        [[unroll]] for (uint c = 0; c < kColumns; ++c) {
            const uint i = c * kChunk + at;
            const uvec4 xl = x_words[i], xh = x_words[kColumns * kChunk + i];
            const vec2 s = x_scale[i];
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
    const bool whole = p.w.groups <= kChunk; // one chunk serves all rows
    if (whole) load_x(0);
    [[dont_unroll]] for (uint base = gl_WorkGroupID.x * rows; base < p.n; base += step) {
        const uint row = base + team * kRows;
        [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i)
            sums[i] = 0.0;
        [[dont_unroll]] for (uint begin = 0; begin < p.w.groups; begin += kChunk) {
            if (!whole) load_x(begin);
            multiply(row, begin, lane);
        }
        [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i) {
            const uint n = row + i / kColumns, c = i % kColumns;
            float value = sum_of_team(sums[i]);
            if (lane != i || n >= p.n) continue;
            if (p.add != 0) value += F32(p.add + uint64_t(c) * p.add_stride * 4).v[n];
            F32(p.y + uint64_t(c) * p.n * 4).v[n] = value;
        }
    }
}
