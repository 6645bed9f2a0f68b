// Products of one vector with the rows of a matrix in planes, the hot loop of decoding. A workgroup
// first makes its own copy of the vector in 8 bits in local memory (normalised if asked): that costs less
// than another launch. Then 32 threads, a team, take two rows at a time; the first weights are on their
// way before the vector is asked for. Code is kept short: kernels take turns within microseconds, and
// each time instructions have to be fetched again.
//
// -DNORM=n: whether RMS_NORM comes first. -DBATCH=n: groups of 32 under way for each thread and row.
// -DGROUPS=n: of the vector, where the program is built for it; else -DCAPACITY=n at most.
//
// Before this file the includer defines Context (what rows_of and take need) and after it
//   uint2 rows_of(const Context *, uint pair)                     the two rows of a pair
//   float4 ahead_of(const Context *, uint pair)                   what take will want from memory
//   void take(const Context *, uint pair, float2 products, float4 ahead)   one thread calls
#include "dot.h"
#include "lanes.h"
#include "types/type.h"

#ifdef GROUPS
#define CAPACITY GROUPS
#else
#define GROUPS p->w.groups
#endif

enum { kThreads = 256, kLanes = 32, kTeams = kThreads / kLanes };

typedef struct {
    uint4 low[CAPACITY], high[CAPACITY];
    float2 scale[CAPACITY]; // scale, scale * sum
    float2 exchanged[kThreads];
    float squares[kTeams];
} SingleLocal;

uint2 rows_of(const Context *c, uint pair);
float4 ahead_of(const Context *c, uint pair);
void take(const Context *c, uint pair, float2 products, float4 ahead);

// Over two neighbours: the largest x, the sum of y.
#ifdef USE_PTX
float largest_of_two(local SingleLocal *l, float x) { return fmax(x, from_lane(x, 1)); }
int sum_of_two(local SingleLocal *l, int y) { return y + int_from_lane(y, 1); }
#else
float of_neighbour(local SingleLocal *l, float x) {
    const uint self = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    l->exchanged[self].x = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    return l->exchanged[self ^ 1].x;
}
float largest_of_two(local SingleLocal *l, float x) { return fmax(x, of_neighbour(l, x)); }
int sum_of_two(local SingleLocal *l, int y) { return y + (int)of_neighbour(l, (float)y); }
#endif

// Sums of two numbers over a team, in its first thread.
float2 sum_of_team(local SingleLocal *l, float2 share) {
    const uint self = get_local_id(0), lane = self % kLanes;
#ifdef USE_PTX
    // The upper half of the team takes the second number, then each half sums up its own.
    const bool upper = lane >= kLanes / 2;
    float sum = (upper ? share.y : share.x) + from_lane(upper ? share.x : share.y, 16);
#pragma unroll
    for (int n = 8; n > 0; n >>= 1)
        sum += from_lane(sum, n);
    return (float2)(sum, from_lane(sum, 16));
#else
    barrier(CLK_LOCAL_MEM_FENCE);
    l->exchanged[self] = share;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint n = kLanes / 2; n > 0; n >>= 1) {
        if (lane < n) l->exchanged[self] += l->exchanged[self + n];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return l->exchanged[self - lane];
#endif
}

// The sum over the workgroup of squares, as a factor for what they are the squares of.
float norm_factor(const SingleParams *p, local SingleLocal *l, float sum) {
    const uint self = get_local_id(0);
    const float2 total = sum_of_team(l, (float2)(sum, 0.0f));
    if (self % kLanes == 0) l->squares[self / kLanes] = total.x;
    barrier(CLK_LOCAL_MEM_FENCE);
    sum = 0.0f;
    for (uint i = 0; i < kTeams; ++i)
        sum += l->squares[i];
    return 1.0f / sqrt(sum / (float)(GROUPS * 32) + p->epsilon);
}

// A thread makes 16 elements, half a group. Returns the factor of the norm, which belongs to the scales
// but is known last.
float prepare(const SingleParams *p, Bytes x_bytes, Bytes norm_bytes, local SingleLocal *l) {
    const uint halves = 2 * GROUPS, self = get_local_id(0);
    float sum = 0.0f;
#pragma unroll 1
    for (uint first = 0; first < halves; first += kThreads) {
        const uint i = min(first + self, halves - 1);
        const bool counts = first + self < halves;
        float4 x[4];
#pragma unroll
        for (uint j = 0; j < 4; ++j)
            x[j] = CONST_AT(float4, x_bytes, p->x_at)[i * 4 + j];
        if (NORM) {
#pragma unroll
            for (uint j = 0; j < 4; ++j)
                sum += counts ? dot(x[j], x[j]) : 0.0f;
            if (p->norm_at != kNone)
#pragma unroll
                for (uint j = 0; j < 4; ++j)
                    x[j] *= CONST_AT(float4, norm_bytes, p->norm_at)[i * 4 + j];
        }
        const float4 all = fmax(fmax(fabs(x[0]), fabs(x[1])), fmax(fabs(x[2]), fabs(x[3])));
        const float most = largest_of_two(l, fmax(fmax(all.x, all.y), fmax(all.z, all.w)));
        const float factor = most > 0.0f ? 127.0f / most : 0.0f;
        uint words[4];
        int share = 0;
#pragma unroll
        for (uint j = 0; j < 4; ++j) {
            words[j] = pack_four(x[j] * factor);
            share = dot4(words[j], 0x01010101u, share);
        }
        const int total = sum_of_two(l, share);
        if (!counts) continue;
        const uint4 half_group = (uint4)(words[0], words[1], words[2], words[3]);
        if (i & 1) {
            l->high[i / 2] = half_group;
        } else {
            l->low[i / 2] = half_group;
            l->scale[i / 2] = most / 127.0f * (float2)(1.0f, (float)total);
        }
    }
    if (NORM) return norm_factor(p, l, sum);
    barrier(CLK_LOCAL_MEM_FENCE);
    return 1.0f;
}

// Of a group of a row and one of the vector; rows begin with whole blocks, so `lane` tells which group
// of a block it is.
float product(const Raw *raw, uint lane, uint4 x_low, uint4 x_high, float2 s) {
    uint4 low, high;
    quants_of(raw, &low, &high);
    const float3 scale = scale_of(raw, lane);
    const int a = dot16(low, x_low), b = dot16(high, x_high);
    const float sum =
        kOneScale ? scale.x * (float)(a + b) : scale.x * (float)a + scale.y * (float)b;
    return s.x * sum - scale.z * s.y;
}

// BATCH groups of each of two rows, kLanes groups apart; beyond the end the last one.
void load_weights(const SingleParams *p, Weights w, uint2 begin, uint at, Raw *raw) {
#pragma unroll
    for (uint b = 0; b < BATCH; ++b) {
        const uint g = min(at + b * kLanes, GROUPS - 1u);
        raw[2 * b] = load_raw(w, &p->w, begin.x + g);
        raw[2 * b + 1] = load_raw(w, &p->w, begin.y + g);
    }
}

// All pairs below `pairs`, a grid's teams at a time.
void multiply_rows(const Context *c, const SingleParams *p, Weights w, Bytes x_bytes,
                   Bytes norm_bytes, uint pairs, local SingleLocal *l) {
    const uint team = get_local_id(0) / kLanes, lane = get_local_id(0) % kLanes;
    uint base = get_group_id(0) * kTeams, pair = min(base + team, pairs - 1);
    uint2 begin = rows_of(c, pair) * p->w.stride;
    Raw raw[2 * BATCH];
    load_weights(p, w, begin, lane, raw);
    float4 ahead = ahead_of(c, pair);
    const float factor = prepare(p, x_bytes, norm_bytes, l);
#pragma unroll 1
    while (base < pairs) {
        float2 share = (float2)(0.0f);
#pragma unroll 1
        for (uint at = lane; at - lane < GROUPS; at += kLanes * BATCH) {
            if (at != lane) load_weights(p, w, begin, at, raw);
#pragma unroll
            for (uint b = 0; b < BATCH; ++b) {
                const uint g = min(at + b * kLanes, GROUPS - 1u);
                const uint4 x_low = l->low[g], x_high = l->high[g];
                const float2 s = at + b * kLanes < GROUPS ? l->scale[g] : (float2)(0.0f);
                share.x += product(raw + 2 * b, lane, x_low, x_high, s);
                share.y += product(raw + 2 * b + 1, lane, x_low, x_high, s);
            }
        }
        const uint done = pair;
        const float4 for_done = ahead;
        const bool counts = lane == 0 && base + team < pairs;
        base += get_num_groups(0) * kTeams;
        if (base < pairs) {
            pair = min(base + team, pairs - 1);
            begin = rows_of(c, pair) * p->w.stride;
            load_weights(p, w, begin, lane, raw);
            ahead = ahead_of(c, pair);
        }
        const float2 sums = sum_of_team(l, share) * factor;
        if (counts) take(c, done, sums, for_done);
    }
}
