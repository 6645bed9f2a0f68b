// Products of one vector with the rows of a matrix in planes, the hot loop of decoding. A workgroup
// first makes its own copy of the vector in 8 bits in shared memory (normalised if asked): that costs
// less than another dispatch and its barrier. Then 32 threads, a team, take two rows at a time; the
// first weights are on their way before the vector is asked for, or is there (chain.glsl). Code is kept short: kernels take turns
// within microseconds, and each time instructions have to be fetched again. The includer defines
// rows_of, ahead_of and take.
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "chain.glsl"
#include "dot.glsl"
#include "pack.glsl"
#include "types/type.glsl"
#include "types/minima.glsl"

const uint kThreads = 256;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kGroups = 1; // of 32 elements in the vector
layout(constant_id = 1) const bool kNorm = false;
layout(constant_id = 2) const uint kBatch = 2; // groups in flight for each thread and row
layout(constant_id = 3) const uint kSplit = 1; // teams that share a pair of rows, each a part of k
layout(push_constant) uniform Push { MatvecSingleParams p; };

const uint kLanes = 32, kTeams = kThreads / kLanes;
const uint kWide = kLanes * kSplit; // threads of a pair
const bool kWhole = kGroups % (kWide * kBatch) == 0; // no thread runs past the end of a row

shared uvec4 x_low[kGroups], x_high[kGroups];
shared vec2 x_scale[kGroups]; // scale, scale * sum
shared float squares[kThreads];
shared vec2 exchanged[kThreads];
shared vec2 parts[2 * kTeams]; // sums of teams that share rows, of one step and of the next

// The two rows of pair `pair`.
uvec2 rows_of(uint pair);
// What `take` will want from memory.
vec4 ahead_of(uint pair);
// What becomes of a pair's products; one thread calls.
void take(uint pair, vec2 products, vec4 ahead);

// Threads in the order of subgroups, where these are full; else nothing is shuffled.
bool shuffles() { return gl_NumSubgroups * gl_SubgroupSize == kThreads; }
uint self() {
    return shuffles() ? gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID
                      : gl_LocalInvocationID.x;
}

float largest_of_two(float x) {
    if (shuffles()) return max(x, subgroupShuffleXor(x, 1));
    barrier();
    exchanged[self()].x = x;
    barrier();
    return max(x, exchanged[self() ^ 1].x);
}

int sum_of_two(int x) {
    if (shuffles()) return x + subgroupShuffleXor(x, 1);
    barrier();
    exchanged[self()].x = float(x);
    barrier();
    return x + int(exchanged[self() ^ 1].x);
}

// A thread makes 16 elements, half a group. Returns the factor of the norm, which belongs to the scales
// but is known last.
float prepare() {
    float sum = 0.0;
    [[dont_unroll]] for (uint first = 0; first < 2 * kGroups; first += kThreads) {
        const uint i = min(first + self(), 2 * kGroups - 1);
        vec4 x[4];
        [[unroll]] for (uint j = 0; j < 4; ++j)
            x[j] = FreshF32x4(p.x).v[i * 4 + j];
        const bool counts = first + self() < 2 * kGroups;
        if (kNorm) {
            [[unroll]] for (uint j = 0; j < 4; ++j)
                sum += counts ? dot(x[j], x[j]) : 0.0;
            if (p.norm != 0)
                [[unroll]] for (uint j = 0; j < 4; ++j)
                    x[j] *= F32x4(p.norm).v[i * 4 + j];
        }
        const float most = largest_of_two(max(max(largest_of(x[0]), largest_of(x[1])),
                                              max(largest_of(x[2]), largest_of(x[3]))));
        const float factor = most > 0.0 ? 127.0 / most : 0.0;
        uvec4 words;
        int share = 0;
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            words[j] = pack(x[j] * factor);
            share += dot4(words[j], 0x01010101u);
        }
        const int total = sum_of_two(share);
        if (!counts) continue;
        if ((i & 1) != 0) {
            x_high[i / 2] = words;
        } else {
            x_low[i / 2] = words;
            x_scale[i / 2] = most / 127.0 * vec2(1.0, float(total));
        }
    }
    if (kNorm) {
        sum = subgroupAdd(sum);
        if (subgroupElect()) squares[gl_SubgroupID] = sum;
    }
    barrier();
    if (!kNorm) return 1.0;
    sum = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; ++i)
        sum += squares[i];
    return 1.0 / sqrt(sum / float(kGroups * 32) + p.epsilon);
}

float product(RawGroup raw, uint lane, uvec4 xl, uvec4 xh, vec2 s) {
    uvec4 low, high;
    quants_of(raw, low, high);
    const GroupScale scale = scale_of(raw, lane); // rows begin with superblocks, so lane is enough
    const int dl = dot4(low.x, xl.x) + dot4(low.y, xl.y) + dot4(low.z, xl.z) + dot4(low.w, xl.w);
    const int dh =
        dot4(high.x, xh.x) + dot4(high.y, xh.y) + dot4(high.z, xh.z) + dot4(high.w, xh.w);
    const float sum = kOneScale ? scale.low * float(dl + dh)
                                : scale.low * float(dl) + scale.high * float(dh);
    return s.x * sum - minima_of(scale, s, xl, xh);
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

// A group of a row, the last one beyond the end.
uint place_of(uint g) { return kWhole ? g : min(g, kGroups - 1); }

// Sum of the kSplit teams of a pair, in the first of them. `turn`: 0 and 1 by turns.
vec2 sum_of_pair(vec2 share, uint turn) {
    const uint team = self() / kLanes;
    if (self() % kLanes == 0) parts[turn * kTeams + team] = share;
    barrier();
    vec2 sum = share;
    [[unroll]] for (uint i = 1; i < kSplit; ++i)
        sum += parts[turn * kTeams + min(team + i, kTeams - 1)];
    return sum;
}

// Into `raw`: kBatch groups of each of two rows, kWide groups apart. Not a function, because arrays of
// such a size cannot be passed to one.
#define LOAD_WEIGHTS(begin, at)                                                                    \
    [[unroll]] for (uint b = 0; b < kBatch; ++b)                                                   \
        [[unroll]] for (uint r = 0; r < 2; ++r)                                                    \
            raw[2 * b + r] = load_raw(p.w, (begin)[r] + place_of((at) + b * kWide));

// All pairs below `pairs`, a grid's teams at a time.
void multiply_rows(uint pairs) {
    const uint slot = self() / kWide, lane = self() % kWide, slots = kTeams / kSplit;
    const uint step = gl_NumWorkGroups.x * slots;
    RawGroup raw[2 * kBatch];
    uint base = gl_WorkGroupID.x * slots, pair = min(base + slot, pairs - 1), turn = 0;
    uvec2 begin = rows_of(pair) * p.w.stride;
    LOAD_WEIGHTS(begin, lane)
    if (!chain_begin(p.link)) return;
    vec4 ahead = ahead_of(pair);
    const float factor = prepare();
    [[dont_unroll]] while (base < pairs) {
        vec2 share = vec2(0.0);
        [[dont_unroll]] for (uint at = lane; at - lane < kGroups; at += kWide * kBatch) {
            if (at != lane) {
                LOAD_WEIGHTS(begin, at)
            }
            [[unroll]] for (uint b = 0; b < kBatch; ++b) {
                const uint g = place_of(at + b * kWide);
                const uvec4 xl = x_low[g], xh = x_high[g];
                const vec2 s = kWhole || at + b * kWide < kGroups ? x_scale[g] : vec2(0.0);
                [[unroll]] for (uint r = 0; r < 2; ++r)
                    share[r] += product(raw[2 * b + r], lane, xl, xh, s);
            }
        }
        const uint done = pair;
        const vec4 for_done = ahead;
        const bool counts = lane == 0 && base + slot < pairs;
        base += step;
        if (base < pairs) {
            pair = min(base + slot, pairs - 1);
            begin = rows_of(pair) * p.w.stride;
            LOAD_WEIGHTS(begin, lane)
            ahead = ahead_of(pair);
        }
        vec2 sums = sum_of_team(share) * factor;
        if (kSplit > 1) sums = sum_of_pair(sums, turn);
        turn ^= 1;
        if (counts) take(done, sums, for_done);
    }
    chain_end(p.link);
}
