// Products of one vector with the rows of a matrix in planes, the hot loop of decoding. A workgroup
// first makes its own copy of the vector in 8 bits in shared memory (normalised if asked): that costs
// less than another dispatch and its barrier. Then 32 threads, a team, take two rows at a time; the
// weights that come next are on their way while the present ones are multiplied, the first ones from
// the start. The includer defines rows_of and take.
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "activation.glsl"
#include "common.glsl"
#include "dot.glsl"
#include "types/type.glsl"

const uint kThreads = 256;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kGroups = 1; // of 32 elements in the vector
layout(constant_id = 1) const bool kNorm = false;
layout(constant_id = 2) const uint kBatch = 2; // groups in flight for each thread and row
layout(push_constant) uniform Push { MatvecSingleParams p; };

const uint kLanes = 32, kTeams = kThreads / kLanes;
// Pieces of four elements of x that a thread has in hand.
const uint kPieces = kGroups * 8 < 4 * kThreads ? (kGroups * 8 + kThreads - 1) / kThreads : 4;

shared uvec4 x_low[kGroups], x_high[kGroups];
shared vec2 x_scale[kGroups]; // scale, scale * sum
shared vec2 exchanged[kThreads];

// The two rows of pair `pair`, clamped to those that exist.
uvec2 rows_of(uint pair);
// What becomes of a pair's products; one thread calls.
void take(uint pair, vec2 products);

// Threads in the order of subgroups, where these are full; else nothing is shuffled.
bool shuffles() { return gl_NumSubgroups * gl_SubgroupSize == kThreads && gl_SubgroupSize >= 8; }
uint self() {
    return shuffles() ? gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID
                      : gl_LocalInvocationID.x;
}

float sum_of_all(float x) {
    const float part = subgroupAdd(x);
    if (subgroupElect()) exchanged[gl_SubgroupID].x = part;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; ++i)
        sum += exchanged[i].x;
    return sum;
}

// Over 8 neighbours.
float largest_of_eight(float x) {
    if (shuffles()) {
        [[unroll]] for (uint n = 1; n < 8; n *= 2)
            x = max(x, subgroupShuffleXor(x, n));
        return x;
    }
    barrier();
    exchanged[self()].x = x;
    barrier();
    for (uint i = 0; i < 8; ++i)
        x = max(x, exchanged[self() / 8 * 8 + i].x);
    return x;
}

int sum_of_eight(int x) {
    if (shuffles()) {
        [[unroll]] for (uint n = 1; n < 8; n *= 2)
            x += subgroupShuffleXor(x, n);
        return x;
    }
    barrier();
    exchanged[self()].x = float(x);
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < 8; ++i)
        sum += exchanged[self() / 8 * 8 + i].x;
    return int(sum);
}

uint pack(vec4 x) {
    const ivec4 q = ivec4(clamp(roundEven(x), -127.0, 127.0));
    return (uint(q.x) & 255u) | (uint(q.y) & 255u) << 8 | (uint(q.z) & 255u) << 16 | uint(q.w) << 24;
}

void load_x(uint first, out vec4 v[kPieces], out vec4 weight[kPieces]) {
    [[unroll]] for (uint b = 0; b < kPieces; ++b) {
        const uint i = min(first + b * kThreads, kGroups * 8 - 1);
        v[b] = F32x4(p.x).v[i];
        weight[b] = vec4(1.0);
        if (kNorm && p.norm != 0) weight[b] = F32x4(p.norm).v[i];
    }
}

// Neighbours have neighbouring elements, so 8 threads share a group.
void prepare() {
    const uint total = kGroups * 8;
    vec4 v[kPieces], weight[kPieces];
    load_x(self(), v, weight);
    float factor = 1.0;
    if (kNorm) {
        float squares = 0.0;
        [[unroll]] for (uint b = 0; b < kPieces; ++b)
            if (self() + b * kThreads < total) squares += dot(v[b], v[b]);
        for (uint i = self() + kPieces * kThreads; i < total; i += kThreads)
            squares += dot(F32x4(p.x).v[i], F32x4(p.x).v[i]);
        factor = 1.0 / sqrt(sum_of_all(squares) / float(kGroups * 32) + p.epsilon);
    }
    for (uint first = self(); first < total + self(); first += kPieces * kThreads) {
        if (first != self()) load_x(first, v, weight);
        [[unroll]] for (uint b = 0; b < kPieces; ++b) {
            const uint i = first + b * kThreads, g = i / 8, part = i % 8;
            const vec4 x = v[b] * factor * weight[b], size = abs(x);
            const float most =
                largest_of_eight(max(max(size.x, size.y), max(size.z, size.w)));
            const uint word = pack(x * (most > 0.0 ? 127.0 / most : 0.0));
            const float sum = float(sum_of_eight(dot4(word, 0x01010101u)));
            if (i >= total) continue;
            if (part < 4) x_low[g][part] = word;
            else x_high[g][part - 4] = word;
            if (part == 0) x_scale[g] = most / 127.0 * vec2(1.0, sum);
        }
    }
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

RawGroup next[2 * kBatch], raw[2 * kBatch]; // weights on their way, and in hand

// kBatch groups of each of two rows, kLanes groups apart, from group `at`. Places beyond the end are
// clamped, not skipped: all loads go out together.
void load_next(uint pair, uint at) {
    const uvec2 begin = rows_of(pair) * p.w.stride;
    [[unroll]] for (uint b = 0; b < kBatch; ++b)
        [[unroll]] for (uint r = 0; r < 2; ++r)
            next[2 * b + r] = load_raw(p.w, begin[r] + min(at + b * kLanes, kGroups - 1));
}

vec2 multiply(uint pair, uint at) {
    const uvec2 begin = rows_of(pair) * p.w.stride;
    vec2 sums = vec2(0.0);
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        const uint g = min(at + b * kLanes, kGroups - 1);
        [[unroll]] for (uint r = 0; r < 2; ++r) {
            const float term = product(raw[2 * b + r], begin[r] + g, g);
            sums[r] += at + b * kLanes < kGroups ? term : 0.0;
        }
    }
    return sums;
}

// A team is a subgroup where those have its size: then its sums need no barrier, and teams drift apart.
vec2 sum_of_team(vec2 share) {
    if (shuffles() && gl_SubgroupSize == kLanes) return subgroupAdd(share);
    const uint first = self() / kLanes * kLanes, lane = self() % kLanes;
    barrier();
    exchanged[self()] = share;
    barrier();
    for (uint n = kLanes / 2; n > 0; n >>= 1) {
        if (lane < n) exchanged[first + lane] += exchanged[first + lane + n];
        barrier();
    }
    return exchanged[first];
}

// All pairs below `pairs`, a grid's teams at a time.
void multiply_rows(uint pairs) {
    const uint team = self() / kLanes, lane = self() % kLanes, step = gl_NumWorkGroups.x * kTeams;
    uint pair = gl_WorkGroupID.x * kTeams + team;
    load_next(pair, lane);
    prepare();
    for (; pair - team < pairs; pair += step) {
        vec2 share = vec2(0.0);
        for (uint at = lane; at < kGroups + lane; at += kLanes * kBatch) {
            [[unroll]] for (uint i = 0; i < 2 * kBatch; ++i)
                raw[i] = next[i];
            const bool last = at - lane + kLanes * kBatch >= kGroups;
            load_next(last ? pair + step : pair, last ? lane : at + kLanes * kBatch);
            share += multiply(pair, at);
        }
        const vec2 sums = sum_of_team(share);
        if (lane == 0 && pair < pairs) take(pair, sums);
    }
}
