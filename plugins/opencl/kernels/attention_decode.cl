// ATTENTION of a few tokens over cached keys and values: a workgroup takes a token, QUERIES query
// heads of one key head, and every p.splits-th block of the keys. LANES threads, a team, read a key's row
// eight elements each and keep the softmax and their eight columns of the result to themselves, so that
// nothing waits for another team until the end. Parts are joined by the last workgroup of a token and
// its heads where the device has the fences for it (-DJOIN), else by attention_combine.cl. Waiting for
// memory is what takes the time, so loads that do not need each other go together.
// Rows in Q4_0 are rotated: so are the queries when they are loaded, and the results before they leave.
// -DTYPE_K=n -DTYPE_V=n: F16, Q8_0 or Q4_0; -DRUN=n: of rotations, where there is Q4_0;
// -DDEPTH=n: of keys and values, a multiple of 8 up to 256; -DLANES=n: a power of two, DEPTH / 8 or more;
// -DKEYS=n: keys under way for each team; -DSOFTCAP: scores have a soft cap.
#include "buffers.h"
#include "common.h"
#include "eight.h"
#include "lanes.h"
#ifdef RUN
#include "hadamard.h"
#endif

enum {
    kThreads = 256,
    kTeams = kThreads / LANES,
    kStep = kTeams * KEYS,
    kMostParts = 64, // of ops/attention_decode.cpp
    kTogether = 8    // parts whose columns are under way together
};
#define kNoCell 0xffffffffu

// Results of teams that nothing has merged yet.
#ifdef USE_PTX
enum { kSharers = kThreads / 32 };
#else
enum { kSharers = kTeams };
#endif

typedef struct {
    float results[kSharers * QUERIES * DEPTH];
    float tops[kSharers * QUERIES], sums[kSharers * QUERIES];
#ifdef JOIN
    float part_tops[kMostParts * QUERIES], part_sums[kMostParts * QUERIES];
    uint arrived;
#endif
#ifndef USE_PTX
    float exchanged[KEYS * kThreads];
#endif
} DecodeLocal;

// What a thread keeps of its query heads.
typedef struct {
    float q[QUERIES][8], sums[QUERIES][8], top[QUERIES], total[QUERIES];
} Share;

// Eight elements of a query, rotated where keys are.
void load_query(global const float *row, uint at, private float *q) {
#ifdef RUN
    if (TYPE_K == kQ4_0) {
        // Of the transform of a run, the steps between eighths as signs, then those within one.
        const uint first = at / (RUN / 8) * (RUN / 8);
        for (uint j = 0; j < 8; ++j)
            q[j] = 0.0f;
        for (uint n = 0; n < RUN / 8; ++n) {
            const float sign = popcount(n & (at - first)) % 2 ? -kRunFactor : kRunFactor;
            for (uint j = 0; j < 8; ++j)
                q[j] = fma(sign, row[(first + n) * 8 + j], q[j]);
        }
        transform(q, 8);
        return;
    }
#endif
    const float4 low = vload4(at * 2, row), high = vload4(at * 2 + 1, row);
    const float values[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (uint j = 0; j < 8; ++j)
        q[j] = values[j];
}

void load_queries(const AttentionParams *p, Bytes q_bytes, uint token, uint first, uint last,
                  uint lane, Share *s) {
    const uint at = min(lane, (uint)(DEPTH / 8 - 1));
    const float scale = lane * 8 < DEPTH ? p->scale : 0.0f;
#pragma unroll
    for (uint h = 0; h < QUERIES; ++h) {
        global const float *row = AT(float, q_bytes, p->q_at) + (ulong)token * p->q_token +
                                  (ulong)min(first + h, last) * p->q_head;
        float q[8];
        load_query(row, at, q);
#pragma unroll
        for (uint j = 0; j < 8; ++j) {
            s->q[h][j] = q[j] * scale;
            s->sums[h][j] = 0.0f;
        }
        s->top[h] = -INFINITY;
        s->total[h] = 0.0f;
    }
}

// Cells of a team's keys of the block that begins at `key`; no cell where the sequence has no page.
void find_cells(const AttentionParams *p, Bytes pages_bytes, uint sequence, uint key,
                uint *cells) {
#pragma unroll
    for (uint b = 0; b < KEYS; ++b) {
        const uint at = key + b * kTeams, column = at / p->page_size;
        const int page = AT(int, pages_bytes, p->pages_at)[(ulong)sequence * p->page_stride +
                                                           min(column, p->page_columns - 1)];
        const uint cell = (uint)page * p->page_size + at % p->page_size;
        const bool none = page < 0 || column >= p->page_columns || cell >= p->cells;
        cells[b] = none ? kNoCell : cell;
    }
}

// Sums over a team of KEYS numbers, in all of its threads.
void sum_teams(local DecodeLocal *l, float *x) {
#ifdef USE_PTX
#pragma unroll
    for (uint n = LANES / 2; n > 0; n >>= 1)
#pragma unroll
        for (uint b = 0; b < KEYS; ++b)
            x[b] += from_lane(x[b], n);
#else
    const uint self = get_local_id(0), first = self / LANES * LANES;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint b = 0; b < KEYS; ++b)
        l->exchanged[b * kThreads + self] = x[b];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint b = 0; b < KEYS; ++b) {
        x[b] = 0.0f;
        for (uint i = 0; i < LANES; ++i)
            x[b] += l->exchanged[b * kThreads + first + i];
    }
#endif
}

// Adds a team's keys, the first at `key`, to its sums of query h, head `head`.
void add_keys(const AttentionParams *p, Bytes slopes_bytes, local DecodeLocal *l, Share *s,
              uint h, uint head, int key, int position, int2 seen, const uint *cells,
              const uint4 *keys, const uint4 *values) {
    const uint lane = get_local_id(0) % LANES, eighth = min(lane, (uint)(DEPTH / 8 - 1));
    float scores[KEYS];
#pragma unroll
    for (uint b = 0; b < KEYS; ++b) {
        scores[b] = 0.0f;
#pragma unroll
        for (uint j = 0; j < 4; ++j) {
            const float2 two = pair_of_eight(TYPE_K, keys[b], eighth, j);
            scores[b] =
                fma(s->q[h][2 * j], two.x, fma(s->q[h][2 * j + 1], two.y, scores[b]));
        }
        scores[b] *= scale_of_eight(TYPE_K, keys[b]);
    }
    sum_teams(l, scores);
    float peak = s->top[h];
#pragma unroll
    for (uint b = 0; b < KEYS; ++b) {
        const int at = key + (int)(b * kTeams);
        float score = scores[b];
#ifdef SOFTCAP
        score = p->softcap * tanh(score / p->softcap);
#endif
        if (p->slopes_at != kNone)
            score += AT(float, slopes_bytes, p->slopes_at)[head] * (float)(at - position);
        scores[b] = cells[b] != kNoCell && at >= seen.x && at < seen.y ? score : -INFINITY;
        peak = fmax(peak, scores[b]);
    }
    if (peak == -INFINITY) return;
    const float keep = exp_fast(s->top[h] - peak);
    s->top[h] = peak;
    s->total[h] *= keep;
#pragma unroll
    for (uint j = 0; j < 8; ++j)
        s->sums[h][j] *= keep;
#pragma unroll
    for (uint b = 0; b < KEYS; ++b) {
        const float weight = exp_fast(scores[b] - peak);
        s->total[h] += weight;
        // A cell that no key of the sequence has may hold anything, so weight 0 is not enough.
        if (scores[b] == -INFINITY) continue;
        const float factor = weight * scale_of_eight(TYPE_V, values[b]);
#pragma unroll
        for (uint j = 0; j < 4; ++j) {
            const float2 two = pair_of_eight(TYPE_V, values[b], eighth, j);
            s->sums[h][2 * j] = fma(factor, two.x, s->sums[h][2 * j]);
            s->sums[h][2 * j + 1] = fma(factor, two.y, s->sums[h][2 * j + 1]);
        }
    }
}

// Row: of a token and a head.
void write_result(const AttentionParams *p, Bytes sinks_bytes, Bytes y_bytes, uint row,
                  uint column, float peak, float sum, float value) {
    float keep = 1.0f;
    if (p->sinks_at != kNone && peak > -INFINITY) {
        const float sink = AT(float, sinks_bytes, p->sinks_at)[row % p->heads];
        const float greater = fmax(peak, sink);
        keep = exp_fast(peak - greater);
        sum = sum * keep + exp_fast(sink - greater);
    }
    AT(float, y_bytes, p->y_at)
    [(ulong)row * DEPTH + column] = peak == -INFINITY ? 0.0f : value * keep / sum;
}

global float *part_of(const AttentionParams *p, Bytes parts_bytes, uint split, uint row) {
    return AT(float, parts_bytes, p->parts_at) +
           ((ulong)split * p->tokens * p->heads + row) * (DEPTH + 2);
}

#ifdef USE_PTX
// The teams of a warp as one, in all of its threads.
void merge_warp(Share *s) {
#pragma unroll
    for (uint n = LANES; n < 32; n *= 2)
#pragma unroll
        for (uint h = 0; h < QUERIES; ++h) {
            const float other = from_lane(s->top[h], n), peak = fmax(s->top[h], other);
            const float keep = s->top[h] == -INFINITY ? 0.0f : exp_fast(s->top[h] - peak);
            const float gain = other == -INFINITY ? 0.0f : exp_fast(other - peak);
            s->top[h] = peak;
            s->total[h] = s->total[h] * keep + from_lane(s->total[h], n) * gain;
#pragma unroll
            for (uint j = 0; j < 8; ++j)
                s->sums[h][j] = s->sums[h][j] * keep + from_lane(s->sums[h][j], n) * gain;
        }
}
#endif

#ifdef RUN
// The way back from rotated values to columns; teams are added up later.
void rotate_results(local DecodeLocal *l) {
    for (uint half_run = 1; half_run < RUN; half_run *= 2) {
        for (uint i = get_local_id(0); i < kSharers * QUERIES * DEPTH / 2; i += kThreads) {
            const uint at = (i & ~(half_run - 1)) * 2 + (i & (half_run - 1));
            const float a = l->results[at], b = l->results[at + half_run];
            l->results[at] = a + b;
            l->results[at + half_run] = a - b;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
#define kResultFactor (TYPE_V == kQ4_0 ? kRunFactor : 1.0f)
#else
#define kResultFactor 1.0f
#endif

// The teams' results as one: to y, or as a part (top, sum, columns) for the join.
void merge(const AttentionParams *p, Bytes sinks_bytes, Bytes y_bytes, Bytes parts_bytes,
           local DecodeLocal *l, Share *s, uint token, uint split, uint first, uint last) {
    const uint self = get_local_id(0), lane = self % LANES, sharer = self / (kThreads / kSharers);
#ifdef USE_PTX
    merge_warp(s);
#endif
    if (self % (kThreads / kSharers) < LANES)
#pragma unroll
        for (uint h = 0; h < QUERIES; ++h) {
            const uint at = sharer * QUERIES + h;
            if (lane == 0) {
                l->tops[at] = s->top[h];
                l->sums[at] = s->total[h];
            }
            if (lane * 8 < DEPTH)
#pragma unroll
                for (uint j = 0; j < 8; ++j)
                    l->results[at * DEPTH + lane * 8 + j] = s->sums[h][j] * kResultFactor;
        }
    barrier(CLK_LOCAL_MEM_FENCE);
#ifdef RUN
    if (TYPE_V == kQ4_0) rotate_results(l);
#endif
    for (uint i = self; i < QUERIES * DEPTH; i += kThreads) {
        const uint h = i / DEPTH, column = i % DEPTH, row = token * p->heads + first + h;
        if (first + h > last) break;
        float peak = -INFINITY, sum = 0.0f, value = 0.0f;
        for (uint n = 0; n < kSharers; ++n)
            peak = fmax(peak, l->tops[n * QUERIES + h]);
        for (uint n = 0; n < kSharers && peak > -INFINITY; ++n) {
            const float keep = exp_fast(l->tops[n * QUERIES + h] - peak);
            sum += l->sums[n * QUERIES + h] * keep;
            value += l->results[(n * QUERIES + h) * DEPTH + column] * keep;
        }
        if (p->splits == 1) {
            write_result(p, sinks_bytes, y_bytes, row, column, peak, sum, value);
            continue;
        }
        global float *part = part_of(p, parts_bytes, split, row);
        if (column == 0) {
            part[0] = peak;
            part[1] = sum;
        }
        part[2 + column] = value;
    }
}

#ifdef JOIN
// Tops and sums of all parts first, then the columns, kTogether parts at a time.
void join(const AttentionParams *p, Bytes sinks_bytes, Bytes y_bytes, Bytes parts_bytes,
          local DecodeLocal *l, uint token, uint first, uint last) {
    for (uint i = get_local_id(0); i < p->splits * QUERIES; i += kThreads) {
        global const float *part = part_of(p, parts_bytes, i % p->splits,
                                           token * p->heads + min(first + i / p->splits, last));
        l->part_tops[i] = part[0];
        l->part_sums[i] = part[1];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = get_local_id(0); i < QUERIES * DEPTH; i += kThreads) {
        const uint h = i / DEPTH, column = i % DEPTH, begin = h * p->splits;
        const uint row = token * p->heads + first + h;
        if (first + h > last) break;
        float peak = -INFINITY, sum = 0.0f, value = 0.0f;
        for (uint s = 0; s < p->splits; ++s)
            peak = fmax(peak, l->part_tops[begin + s]);
        for (uint s = 0; s < p->splits && peak > -INFINITY; s += kTogether) {
            float columns[kTogether];
#pragma unroll
            for (uint n = 0; n < kTogether; ++n)
                columns[n] =
                    part_of(p, parts_bytes, min(s + n, p->splits - 1), row)[2 + column];
#pragma unroll
            for (uint n = 0; n < kTogether; ++n) {
                const uint at = begin + min(s + n, p->splits - 1);
                const float keep = s + n < p->splits ? exp_fast(l->part_tops[at] - peak) : 0.0f;
                sum += l->part_sums[at] * keep;
                value += columns[n] * keep;
            }
        }
        write_result(p, sinks_bytes, y_bytes, row, column, peak, sum, value);
    }
}

// Whether all other workgroups of this token and these heads have written their parts.
bool is_last(const AttentionParams *p, Bytes counters_bytes, local DecodeLocal *l, uint index) {
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    if (get_local_id(0) == 0) {
        volatile global uint *counter = AT(uint, counters_bytes, p->counters_at) + index;
        l->arrived = atomic_inc(counter);
        if (l->arrived + 1 == p->splits) *counter = 0; // for the next submission
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
    return l->arrived + 1 == p->splits;
}
#endif

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
attention_decode(const AttentionParams p, BUFFER_ARGUMENTS) {
    const Bytes q_bytes = OPERAND(0), k_bytes = OPERAND(1), v_bytes = OPERAND(2),
                positions_bytes = OPERAND(3), sequences_bytes = OPERAND(4),
                pages_bytes = OPERAND(5), lengths_bytes = OPERAND(6), sinks_bytes = OPERAND(7),
                slopes_bytes = OPERAND(8), y_bytes = OPERAND(9), parts_bytes = OPERAND(10),
                counters_bytes = OPERAND(11);
    local DecodeLocal shared;
    const uint token = get_group_id(0), column = get_group_id(1), split = get_group_id(2);
    const uint pieces = (p.group + QUERIES - 1) / QUERIES; // of a key head's queries
    const uint key_head = column / pieces;
    const uint first = key_head * p.group + column % pieces * QUERIES;
    const uint last = min(first + QUERIES, (key_head + 1) * p.group) - 1;
    const uint self = get_local_id(0), lane = self % LANES;
    const int team = self / LANES;
    const int sequence = AT(int, sequences_bytes, p.sequences_at)[token];
    const int position = AT(int, positions_bytes, p.positions_at)[token];
    Share share;
    load_queries(&p, q_bytes, token, first, last, lane, &share);
    const bool known = sequence >= 0 && (uint)sequence < p.sequences;
    const uint row = known ? (uint)sequence : 0;
    int high = known ? clamp(AT(int, lengths_bytes, p.lengths_at)[row], 0,
                             (int)(p.page_columns * p.page_size))
                     : 0;
    if (p.causal) high = min(high, position + 1);
    int low = 0;
    if (p.window > 0) low = max(0, position - (int)min(p.window, 0x7fffffffu) + 1);
    const int begin = (low / kStep + (int)split) * kStep, stride = (int)p.splits * kStep;
    uint cells[KEYS];
    find_cells(&p, pages_bytes, row, (uint)(begin + team), cells);
    const uint at = min(lane, (uint)(DEPTH / 8 - 1));
    global const uchar *k = k_bytes + p.k_at + (ulong)key_head * p.k_head * 2;
    global const uchar *v = v_bytes + p.v_at + (ulong)key_head * p.v_head * 2;
#pragma unroll 1
    for (int block = begin; block < high; block += stride) {
        uint4 keys[KEYS], values[KEYS];
#pragma unroll
        for (uint b = 0; b < KEYS; ++b) {
            const ulong cell = cells[b] == kNoCell ? 0 : cells[b];
            keys[b] = load_eight(TYPE_K, k + cell * p.k_cell * 2, at);
            values[b] = load_eight(TYPE_V, v + cell * p.v_cell * 2, at);
        }
#pragma unroll
        for (uint h = 0; h < QUERIES; ++h)
            add_keys(&p, slopes_bytes, &shared, &share, h, min(first + h, last), block + team,
                     position, (int2)(low, high), cells, keys, values);
        find_cells(&p, pages_bytes, row, (uint)(block + stride + team), cells);
    }
    merge(&p, sinks_bytes, y_bytes, parts_bytes, &shared, &share, token, split, first, last);
#ifdef JOIN
    if (p.splits > 1 && is_last(&p, counters_bytes, &shared, token * get_num_groups(1) + column))
        join(&p, sinks_bytes, y_bytes, parts_bytes, &shared, token, first, last);
#endif
}
