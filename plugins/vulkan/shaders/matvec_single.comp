// MATMUL of one vector with a matrix in planes, the hot loop of decoding. A workgroup first makes its
// own copy of the vector in 8 bits in shared memory (normalised if asked): that costs less than
// another dispatch and its barrier. Then 32 threads take two rows of w at a time; the weights that
// come next are on their way while the present ones are multiplied, the first ones from the start.
#version 460
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#include "activation.glsl"
#include "common.glsl"
#include "dot.glsl"
#include "types/type.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kGroups = 1; // of 32 elements in the vector
layout(constant_id = 1) const bool kNorm = false;
layout(constant_id = 2) const uint kGlu = 0; // 1 + kind of RZ_UNARY_*; 0: none
layout(push_constant) uniform Push { MatvecSingleParams p; };

const uint kLanes = 32, kTeams = 8; // a team of kLanes threads works on two rows
const uint kOutputs = kGlu != 0 ? kTeams : 2 * kTeams;
const uint kBatch = 2;  // groups in flight for each thread and row
const uint kPieces = 4; // of four elements of x that a thread turns into bytes at a time

shared uvec4 x_low[kGroups], x_high[kGroups];
shared vec2 x_scale[kGroups]; // scale, scale * sum
shared vec2 partial[256];
shared float sums_of_subgroups[256];
shared float peaks[kPieces * 256];

float sum_of_all(float x) {
    const float part = subgroupAdd(x);
    if (subgroupElect()) sums_of_subgroups[gl_SubgroupID] = part;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; ++i)
        sum += sums_of_subgroups[i];
    return sum;
}

uint pack(vec4 x) {
    const ivec4 q = ivec4(clamp(roundEven(x), -127.0, 127.0));
    return (uint(q.x) & 255u) | (uint(q.y) & 255u) << 8 | (uint(q.z) & 255u) << 16 | uint(q.w) << 24;
}

int sum_of(uvec4 words) {
    const uint ones = 0x01010101u;
    return dot4(words.x, ones) + dot4(words.y, ones) + dot4(words.z, ones) + dot4(words.w, ones);
}

// Neighbours read neighbouring elements, so 8 threads share a group and its largest element.
void prepare() {
    const uint self = gl_LocalInvocationID.x, total = kGroups * 8;
    F32x4 x = F32x4(p.x), weight = F32x4(p.norm);
    float factor = 1.0;
    if (kNorm) {
        float squares = 0.0;
        for (uint i = self; i < total; i += 256)
            squares += dot(x.v[i], x.v[i]);
        factor = 1.0 / sqrt(sum_of_all(squares) / float(kGroups * 32) + p.epsilon);
    }
    for (uint first = self; first < total + self; first += kPieces * 256) {
        vec4 v[kPieces];
        [[unroll]] for (uint b = 0; b < kPieces; ++b) {
            const uint i = min(first + b * 256, total - 1);
            v[b] = x.v[i] * factor;
            if (kNorm && p.norm != 0) v[b] *= weight.v[i];
        }
        [[unroll]] for (uint b = 0; b < kPieces; ++b) {
            const vec4 size = abs(v[b]);
            peaks[b * 256 + self] = max(max(size.x, size.y), max(size.z, size.w));
        }
        barrier();
        [[unroll]] for (uint b = 0; b < kPieces; ++b) {
            const uint i = first + b * 256, g = i / 8, part = i % 8;
            if (i >= total) break;
            float most = 0.0;
            [[unroll]] for (uint j = 0; j < 8; ++j)
                most = max(most, peaks[b * 256 + self - part + j]);
            const uint word = pack(v[b] * (most > 0.0 ? 127.0 / most : 0.0));
            if (part < 4) x_low[g][part] = word;
            else x_high[g][part - 4] = word;
            if (part == 0) x_scale[g].x = most / 127.0;
        }
        barrier();
    }
    for (uint g = self; g < kGroups; g += 256)
        x_scale[g].y = x_scale[g].x * float(sum_of(x_low[g]) + sum_of(x_high[g]));
    barrier();
}

float product(RawGroup raw, uint place, uint g) {
    uvec4 low, high;
    quants_of(raw, low, high);
    const GroupScale scale = scale_of(raw, place);
    const uvec4 xl = x_low[g], xh = x_high[g];
    const int dl = dot4(low.x, xl.x) + dot4(low.y, xl.y) + dot4(low.z, xl.z) + dot4(low.w, xl.w);
    const int dh =
        dot4(high.x, xh.x) + dot4(high.y, xh.y) + dot4(high.z, xh.z) + dot4(high.w, xh.w);
    const vec2 s = x_scale[g];
    return s.x * (scale.low * float(dl) + scale.high * float(dh)) - scale.minimum * s.y;
}

// kBatch groups of each of two rows, kLanes groups apart, from group `at`.
struct Batch {
    RawGroup raw[2 * kBatch];
};

uvec2 rows_of(uint row) {
    const uint last = p.n - 1, valid = min(row, last);
    return valid + uvec2(0, kGlu != 0 ? p.n : min(kTeams, last - valid));
}

// Places beyond the end are clamped, not skipped: all loads go out together.
Batch load(uint row, uint at) {
    const uvec2 begin = rows_of(row) * p.w.stride;
    Batch batch;
    [[unroll]] for (uint b = 0; b < kBatch; ++b)
        [[unroll]] for (uint r = 0; r < 2; ++r)
            batch.raw[2 * b + r] = load_raw(p.w, begin[r] + min(at + b * kLanes, kGroups - 1));
    return batch;
}

vec2 multiply(Batch batch, uint row, uint at) {
    const uvec2 begin = rows_of(row) * p.w.stride;
    vec2 sums = vec2(0.0);
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        const uint g = min(at + b * kLanes, kGroups - 1);
        [[unroll]] for (uint r = 0; r < 2; ++r) {
            const float term = product(batch.raw[2 * b + r], begin[r] + g, g);
            sums[r] += at + b * kLanes < kGroups ? term : 0.0;
        }
    }
    return sums;
}

// A team is a subgroup where those have its size: then its sums need no barrier, and teams drift apart.
bool teams_are_subgroups() { return gl_SubgroupSize == kLanes && gl_NumSubgroups == kTeams; }
uint team_of_self() {
    return teams_are_subgroups() ? gl_SubgroupID : gl_LocalInvocationID.x / kLanes;
}
uint lane_of_self() {
    return teams_are_subgroups() ? gl_SubgroupInvocationID : gl_LocalInvocationID.x % kLanes;
}

vec2 sum_of_team(vec2 share, uint team, uint lane) {
    if (teams_are_subgroups()) return subgroupAdd(share);
    const uint self = team * kLanes + lane;
    barrier();
    partial[self] = share;
    barrier();
    for (uint n = kLanes / 2; n > 0; n >>= 1) {
        if (lane < n) partial[self] += partial[self + n];
        barrier();
    }
    return partial[team * kLanes];
}

void main() {
    const uint team = team_of_self(), lane = lane_of_self(), step = gl_NumWorkGroups.x * kOutputs;
    uint first = gl_WorkGroupID.x * kOutputs;
    Batch next = load(first + team, lane);
    prepare();
    for (; first < p.n; first += step) {
        vec2 share = vec2(0.0);
        for (uint at = lane; at < kGroups + lane; at += kLanes * kBatch) {
            const Batch batch = next;
            const bool last = at - lane + kLanes * kBatch >= kGroups;
            next = load((last ? first + step : first) + team, last ? lane : at + kLanes * kBatch);
            share += multiply(batch, first + team, at);
        }
        const vec2 sums = sum_of_team(share, team, lane);
        const uint row = first + team, at = row + lane * kTeams;
        if (kGlu != 0) {
            if (lane == 0 && row < p.n) F32(p.y).v[row] = activation(kGlu - 1, sums.x) * sums.y;
        } else if (lane < 2 && at < p.n) {
            F32(p.y).v[at] = sums[lane] + (p.add != 0 ? F32(p.add).v[at] : 0.0);
        }
    }
}
