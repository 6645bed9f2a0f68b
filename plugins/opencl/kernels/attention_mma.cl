// ATTENTION of many tokens over cached keys and values in F16, on NVIDIA's matrix units: a workgroup for
// 64 tokens and a query head, 16 tokens for each of its 4 warps; online softmax over blocks of KEYS keys.
// While scores are made values are on their way, while values are added the next keys. Products are of
// F16, sums and softmax F32; queries are scaled by powers of two to fit F16. -DDEPTH=n: of keys and
// values, a multiple of 16; -DKEYS=n.
#include "common.h"
#include "lanes.h"
#include "mma.h"

enum {
    kThreads = 128,
    kTokens = 64,
    kPitch = DEPTH * 2 + 16, // bytes from key to key: eight rows lie in different banks
    kSteps = DEPTH / 16,
    kTilesK = KEYS / 8,
    kTilesD = DEPTH / 8
};
#define kNoCell 0xffffffffu
#define kLog2e 1.44269504f

typedef struct {
    uchar keys[KEYS * kPitch] __attribute__((aligned(128)));
    uchar values[KEYS * kPitch] __attribute__((aligned(128)));
    uint cells[2][KEYS];
    int positions[kTokens], sequences[kTokens];
} MmaLocal;

float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
float of_quad(float x, bool maximum) {
#pragma unroll
    for (int n = 1; n < 4; n *= 2)
        x = maximum ? fmax(x, from_lane(x, n)) : x + from_lane(x, n);
    return x;
}

// Of a thread: rows lane / 4 and 8 more of its warp's tokens.
typedef struct {
    uint q[kSteps][4];
    float sums[kTilesD][4];
    float top[2], total[2], scale[2]; // scale: of scores, in powers of e unless there is a soft cap
} Share;

void load_queries(const AttentionParams *p, Bytes q_bytes, uint first, uint head, Share *s) {
    const uint lane = get_local_id(0) % 32, warp = get_local_id(0) / 32;
    float2 q[2][kSteps][2];
#pragma unroll
    for (uint r = 0; r < 2; ++r) {
        const uint token = min(first + warp * 16 + lane / 4 + 8 * r, p->tokens - 1);
        global const float *row = CONST_AT(float, q_bytes, p->q_at) + (ulong)token * p->q_token +
                                  (ulong)head * p->q_head;
        float most = 0.0f;
#pragma unroll
        for (uint i = 0; i < 2 * kSteps; ++i) {
            const float2 two = vload2(i * 4 + lane % 4, row);
            q[r][i / 2][i % 2] = two;
            most = fmax(most, fmax(fabs(two.x), fabs(two.y)));
        }
        // The largest becomes 2^10 to 2^11.
        const uint exponent = clamp(as_uint(of_quad(most, true)) >> 23, 11u, 250u);
        const float factor = as_float((264u - exponent) << 23);
        s->scale[r] = p->scale * as_float((exponent - 10u) << 23);
#pragma unroll
        for (uint i = 0; i < 2 * kSteps; ++i)
            q[r][i / 2][i % 2] *= factor;
    }
#pragma unroll
    for (uint i = 0; i < kSteps; ++i) {
        s->q[i][0] = half_pair(q[0][i][0].x, q[0][i][0].y);
        s->q[i][1] = half_pair(q[1][i][0].x, q[1][i][0].y);
        s->q[i][2] = half_pair(q[0][i][1].x, q[0][i][1].y);
        s->q[i][3] = half_pair(q[1][i][1].x, q[1][i][1].y);
    }
}

// Cells of keys [key, key + KEYS) of a sequence.
void find_cells(const AttentionParams *p, Bytes pages_bytes, uint sequence, int key, int length,
                local uint *cells) {
    const uint i = get_local_id(0);
    if (i >= KEYS) return;
    const uint at = (uint)key + i, column = at / p->page_size;
    uint cell = kNoCell;
    if ((int)at < length) {
        const int page =
            AT(int, pages_bytes, p->pages_at)[(ulong)sequence * p->page_stride + column];
        cell = (uint)page * p->page_size + at % p->page_size;
        if (page < 0 || cell >= p->cells) cell = kNoCell;
    }
    cells[i] = cell;
}

// Rows of KEYS cells to local memory; zeros where there is no cell.
void load_rows(uint to, global const uchar *from, uint cell_stride, const local uint *cells) {
    enum { kChunks = DEPTH / 8 };
#pragma unroll
    for (uint i = 0; i < (KEYS * kChunks + kThreads - 1) / kThreads; ++i) {
        const uint at = i * kThreads + get_local_id(0), row = at / kChunks, c = at % kChunks;
        if (KEYS * kChunks % kThreads != 0 && row >= KEYS) continue;
        const uint cell = cells[row];
        const ulong offset = cell == kNoCell ? 0 : (ulong)cell * cell_stride * 2;
        copy_ahead(to + row * kPitch + c * 16, from + offset + c * 16, cell == kNoCell ? 0 : 16);
    }
}

void make_scores(float scores[kTilesK][4], uint keys, const Share *s) {
    const uint lane = get_local_id(0) % 32;
#pragma unroll
    for (uint i = 0; i < kTilesK * 4; ++i)
        scores[i / 4][i % 4] = 0.0f;
#pragma unroll
    for (uint step = 0; step < kSteps; ++step)
#pragma unroll
        for (uint n = 0; n < kTilesK / 2; ++n) {
            uint b[4];
            load_matrices(b, keys + (16 * n + lane % 8 + lane / 16 * 8) * kPitch + step * 32 +
                                 lane / 8 % 2 * 16);
            mma(scores[2 * n], s->q[step], b);
            mma(scores[2 * n + 1], s->q[step], b + 2);
        }
}

// What a score becomes before the softmax, in powers of 2; -INFINITY where the token does not see the key.
float finished(const AttentionParams *p, float score, float scale, float slope, int key,
               int position, int2 seen, uint cell) {
    score *= scale;
    if (p->softcap > 0.0f) score = p->softcap * tanh(score / p->softcap);
    score += slope * (float)(key - position);
    return cell != kNoCell && key >= seen.x && key < seen.y ? score * kLog2e : -INFINITY;
}

// Softmax so far; `scores` become weights in F16, as the left operand of the product with values.
void weigh(const AttentionParams *p, float scores[kTilesK][4], uint weights[kTilesK][2],
           const local uint *cells, int first, float slope, const int *positions, const int2 *seen,
           Share *s) {
    const uint lane = get_local_id(0) % 32;
#pragma unroll
    for (uint r = 0; r < 2; ++r) {
        float peak = s->top[r];
#pragma unroll
        for (uint n = 0; n < kTilesK; ++n)
#pragma unroll
            for (uint j = 0; j < 2; ++j) {
                const uint key = 8 * n + lane % 4 * 2 + j;
                float *score = &scores[n][2 * r + j];
                *score = finished(p, *score, s->scale[r], slope, first + (int)key, positions[r],
                                  seen[r], cells[key]);
                peak = fmax(peak, *score);
            }
        peak = of_quad(peak, true);
        const float shown = peak == -INFINITY ? 0.0f : peak; // so that nothing is infinite less infinite
        const float keep = exp2_fast(s->top[r] - shown);
        s->top[r] = peak;
        float total = 0.0f;
#pragma unroll
        for (uint n = 0; n < kTilesK; ++n) {
            const float a = exp2_fast(scores[n][2 * r] - shown);
            const float b = exp2_fast(scores[n][2 * r + 1] - shown);
            total += a + b;
            weights[n][r] = half_pair(a, b);
        }
        s->total[r] = s->total[r] * keep + total;
#pragma unroll
        for (uint d = 0; d < kTilesD; ++d) {
            s->sums[d][2 * r] *= keep;
            s->sums[d][2 * r + 1] *= keep;
        }
    }
}

void add_values(const uint weights[kTilesK][2], uint values, Share *s) {
    const uint lane = get_local_id(0) % 32;
#pragma unroll
    for (uint n = 0; n < kTilesK / 2; ++n) {
        const uint a[4] = {weights[2 * n][0], weights[2 * n][1], weights[2 * n + 1][0],
                           weights[2 * n + 1][1]};
#pragma unroll
        for (uint d = 0; d < kTilesD / 2; ++d) {
            uint b[4];
            load_transposed(b, values + (16 * n + lane % 16) * kPitch + d * 32 + lane / 16 * 16);
            mma(s->sums[2 * d], a, b);
            mma(s->sums[2 * d + 1], a, b + 2);
        }
    }
}

void store_results(const AttentionParams *p, Bytes sinks_bytes, Bytes y_bytes, uint first,
                   uint head, const Share *s) {
    const uint lane = get_local_id(0) % 32, warp = get_local_id(0) / 32;
#pragma unroll
    for (uint r = 0; r < 2; ++r) {
        const uint token = first + warp * 16 + lane / 4 + 8 * r;
        float total = of_quad(s->total[r], false), keep = 1.0f;
        if (token >= p->tokens) continue;
        if (p->sinks_at != kNone && s->top[r] > -INFINITY) {
            const float sink = AT(float, sinks_bytes, p->sinks_at)[head] * kLog2e;
            const float greater = fmax(s->top[r], sink);
            keep = exp2_fast(s->top[r] - greater);
            total = total * keep + exp2_fast(sink - greater);
        }
        const float factor = s->top[r] == -INFINITY ? 0.0f : keep / total;
        global float *y = AT(float, y_bytes, p->y_at) + ((ulong)token * p->heads + head) * DEPTH;
#pragma unroll
        for (uint d = 0; d < kTilesD; ++d)
            vstore2((float2)(s->sums[d][2 * r], s->sums[d][2 * r + 1]) * factor, d * 4 + lane % 4,
                    y);
    }
}

// Keys that a token at `position` sees, of `length`.
int2 seen_keys(const AttentionParams *p, int position, int length) {
    int2 seen = (int2)(0, length);
    if (p->window > 0) seen.x = max(0, position - (int)min(p->window, 0x7fffffffu) + 1);
    if (p->causal) seen.y = min(seen.y, position + 1);
    return seen;
}

// All keys of one sequence, for the tokens of the workgroup that belong to it.
void attend(const AttentionParams *p, Bytes pages_bytes, Bytes lengths_bytes,
            global const uchar *k, global const uchar *v, local MmaLocal *l, int sequence,
            float slope, Share *s) {
    const uint lane = get_local_id(0) % 32, warp = get_local_id(0) / 32;
    const uint keys = address_of(l->keys), values = address_of(l->values);
    const int length = clamp(AT(int, lengths_bytes, p->lengths_at)[sequence], 0,
                             (int)(p->page_columns * p->page_size));
    int2 all = (int2)(length, 0), seen[2];
    for (uint i = 0; i < kTokens; ++i) {
        const int2 each = seen_keys(p, l->positions[i], length);
        if (l->sequences[i] != sequence || each.x >= each.y) continue;
        all = (int2)(min(all.x, each.x), max(all.y, each.y));
    }
    int positions[2];
#pragma unroll
    for (uint r = 0; r < 2; ++r) {
        const uint i = warp * 16 + lane / 4 + 8 * r;
        positions[r] = l->positions[i];
        seen[r] = l->sequences[i] == sequence ? seen_keys(p, positions[r], length) : (int2)(0);
    }
    const int begin = all.x / KEYS * KEYS;
    barrier(CLK_LOCAL_MEM_FENCE); // the sequence before has done with local memory
    if (begin >= all.y) return;
    find_cells(p, pages_bytes, (uint)sequence, begin, length, l->cells[0]);
    barrier(CLK_LOCAL_MEM_FENCE);
    load_rows(keys, k, p->k_cell, l->cells[0]);
    close_group();
    load_rows(values, v, p->v_cell, l->cells[0]);
    close_group();
    uint at = 0;
#pragma unroll 1
    for (int first = begin; first < all.y; first += KEYS, at ^= 1) {
        const bool more = first + KEYS < all.y;
        if (more)
            find_cells(p, pages_bytes, (uint)sequence, first + KEYS, length, l->cells[at ^ 1]);
        wait_ahead(1);
        barrier(CLK_LOCAL_MEM_FENCE);
        float scores[kTilesK][4];
        uint weights[kTilesK][2];
        make_scores(scores, keys, s);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (more) load_rows(keys, k, p->k_cell, l->cells[at ^ 1]);
        close_group();
        weigh(p, scores, weights, l->cells[at], first, slope, positions, seen, s);
        wait_ahead(1);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_values(weights, values, s);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (more) load_rows(values, v, p->v_cell, l->cells[at ^ 1]);
        close_group();
    }
    wait_ahead(0);
}

kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
attention_mma(const AttentionParams p, Bytes q_bytes, Bytes k_bytes, Bytes v_bytes,
              Bytes positions_bytes, Bytes sequences_bytes, Bytes pages_bytes, Bytes lengths_bytes,
              Bytes sinks_bytes, Bytes slopes_bytes, Bytes y_bytes) {
    local MmaLocal shared;
    // Later tokens see more keys: they go first.
    const uint first = (get_num_groups(0) - 1 - get_group_id(0)) * kTokens, head = get_group_id(1);
    const uint self = get_local_id(0);
    if (self < kTokens) {
        const bool exists = first + self < p.tokens;
        const uint token = min(first + self, p.tokens - 1);
        const int sequence = AT(int, sequences_bytes, p.sequences_at)[token];
        const bool known = exists && sequence >= 0 && (uint)sequence < p.sequences;
        shared.positions[self] = AT(int, positions_bytes, p.positions_at)[token];
        shared.sequences[self] = known ? sequence : -1;
    }
    Share share;
    load_queries(&p, q_bytes, first, head, &share);
#pragma unroll
    for (uint r = 0; r < 2; ++r) {
        share.top[r] = -INFINITY;
        share.total[r] = 0.0f;
    }
#pragma unroll
    for (uint d = 0; d < kTilesD * 4; ++d)
        share.sums[d / 4][d % 4] = 0.0f;
    const float slope = p.slopes_at == kNone ? 0.0f : AT(float, slopes_bytes, p.slopes_at)[head];
    global const uchar *k = k_bytes + p.k_at + (ulong)(head / p.group) * p.k_head * 2;
    global const uchar *v = v_bytes + p.v_at + (ulong)(head / p.group) * p.v_head * 2;
    barrier(CLK_LOCAL_MEM_FENCE);
    // Each sequence of these tokens once, nearly always one.
#pragma unroll 1
    for (uint i = 0; i < kTokens; ++i) {
        const int sequence = shared.sequences[i];
        bool fresh = sequence >= 0;
        for (uint j = 0; j < i && fresh; ++j)
            fresh = shared.sequences[j] != sequence;
        if (fresh)
            attend(&p, pages_bytes, lengths_bytes, k, v, &shared, sequence, slope, &share);
    }
    store_results(&p, sinks_bytes, y_bytes, first, head, &share);
}
