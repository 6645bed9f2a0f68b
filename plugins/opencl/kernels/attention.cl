// ATTENTION: a workgroup for a token, a query head, a part of the keys and 256 columns of the result.
// Online softmax over chunks of 64 keys: a thread makes one score, then its columns.
// -DTYPE_K=n -DTYPE_V=n: types of the caches. -DWIDE: both F16 in rows of 8 n elements at 16 n bytes.
#include "common.h"

// Sizes of a row, where the program is built for them.
#ifndef DK
#define DK p->dk
#define DV p->dv
#endif

// kBatch: keys whose values are under way together.
enum { kBatch = 16, kChunk = 64, kColumnsOfThread = 4, kColumns = 256 };
#define kNoCell 0xffffffffu

uint unit_of(uint type) { return type == kF32 ? 4u : 2u; }

float load_cache(uint type, global const uchar *row, uint i) {
    if (type == kQ8_0) {
        global const ushort *block = (global const ushort *)(row + i / 32 * 34);
        return half_to_float(block[0]) * ((global const char *)(block + 1))[i % 32];
    }
    if (type == kQ4_0) { // rotated, as is what it is multiplied with
        global const ushort *block = (global const ushort *)(row + i / 32 * 18);
        const uint byte = ((global const uchar *)(block + 1))[i % 16];
        return half_to_float(block[0]) * (float)((int)(byte >> (i % 32 / 16 * 4) & 15u) - 8);
    }
    return load_plain(type, row, i);
}

// Position `key` of sequence `sequence` -> its cell.
uint cell_of(const AttentionParams *p, Bytes pages, uint sequence, int key) {
    const uint column = (uint)key / p->page_size;
    const int page = AT(int, pages, p->pages_at)[(ulong)sequence * p->page_stride + column];
    if (page < 0) return kNoCell;
    const ulong cell = (ulong)page * p->page_size + (uint)key % p->page_size;
    return cell < p->cells ? (uint)cell : kNoCell;
}

float score_of(const AttentionParams *p, global const float *q, global const uchar *k, float slope,
               int distance) {
    float sum = 0.0f;
#ifdef WIDE
#pragma unroll 8
    for (uint i = 0; i < DK / 8; ++i) {
        const uint4 eight = ((global const uint4 *)k)[i];
        const float8 query = vload8(i, q);
        sum += dot(half_pair_to_float(eight.x), query.s01) +
               dot(half_pair_to_float(eight.y), query.s23) +
               dot(half_pair_to_float(eight.z), query.s45) +
               dot(half_pair_to_float(eight.w), query.s67);
    }
#else
    for (uint i = 0; i < DK; ++i)
        sum += q[i] * load_cache(TYPE_K, k, i);
#endif
    float score = p->scale * sum;
    if (p->softcap > 0.0f) score = p->softcap * tanh(score / p->softcap);
    return slope != 0.0f ? score + slope * distance : score;
}

// Column c (0..3) of this thread: two neighbours at a time where rows are wide.
uint column_of(uint c) {
    const uint i = get_local_id(0);
#ifdef WIDE
    return c / 2 * 128 + 2 * i + c % 2;
#else
    return c * 64 + i;
#endif
}

// This thread's columns of the values of kBatch keys, by their weights. A key without a cell reads cell
// 0 and counts nothing.
float4 values_of(const AttentionParams *p, global const uchar *values, const local uint *cells,
                 const local float *weights, uint column) {
    const uint at = column + column_of(0), more = column + column_of(2);
    float4 v[kBatch];
#pragma unroll
    for (uint b = 0; b < kBatch; ++b) {
        const ulong cell = cells[b] == kNoCell ? 0 : cells[b];
        global const uchar *row = values + cell * p->v_cell * unit_of(TYPE_V);
        v[b] = (float4)(0.0f);
#ifdef WIDE
        if (at < DV) v[b].lo = half_pair_to_float(((global const uint *)row)[at / 2]);
        if (more < DV) v[b].hi = half_pair_to_float(((global const uint *)row)[more / 2]);
#else
        if (at < DV) v[b].x = load_cache(TYPE_V, row, at);
        if (at + 64 < DV) v[b].y = load_cache(TYPE_V, row, at + 64);
        if (more < DV) v[b].z = load_cache(TYPE_V, row, more);
        if (more + 64 < DV) v[b].w = load_cache(TYPE_V, row, more + 64);
#endif
    }
    float4 sum = (float4)(0.0f);
#pragma unroll
    for (uint b = 0; b < kBatch; ++b)
        sum += cells[b] == kNoCell ? (float4)(0.0f) : weights[b] * v[b];
    return sum;
}

float reduce(local float *shared, bool maximum) {
    const uint i = get_local_id(0);
    for (uint n = kChunk / 2; n > 0; n >>= 1) {
        if (i < n)
            shared[i] = maximum ? fmax(shared[i], shared[i + n]) : shared[i] + shared[i + n];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const float result = shared[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return result;
}

// The keys that a token at `position` sees in split `split`: from x to y (exclusive).
int2 seen_keys(const AttentionParams *p, int length, int position, uint split) {
    length = clamp(length, 0, (int)(p->page_columns * p->page_size));
    const int chunks = (length + kChunk - 1) / kChunk;
    const int part = (chunks + (int)p->splits - 1) / (int)p->splits * kChunk;
    int low = (int)split * part, high = min(low + part, length);
    if (p->window > 0) low = max(low, position - (int)min(p->window, 0x7fffffffu) + 1);
    if (p->causal) high = min(high, position + 1);
    return (int2)(low, high);
}

kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
attention(const AttentionParams p, Bytes q_bytes, Bytes k_bytes, Bytes v_bytes,
          Bytes positions_bytes, Bytes sequences_bytes, Bytes pages_bytes, Bytes lengths_bytes,
          Bytes sinks_bytes, Bytes slopes_bytes, Bytes y_bytes) {
    local float scores[kChunk], shared[kChunk];
    local uint cells[kChunk]; // kNoCell: not seen
    const uint i = get_local_id(0), head = get_group_id(1);
    const uint split = get_group_id(2) % p.splits, column = get_group_id(2) / p.splits * kColumns;
    const ulong k_base = p.k_at + (ulong)(head / p.group) * p.k_head * unit_of(TYPE_K);
    const ulong v_base = p.v_at + (ulong)(head / p.group) * p.v_head * unit_of(TYPE_V);
    const float slope = p.slopes_at == kNone ? 0.0f : AT(float, slopes_bytes, p.slopes_at)[head];
    for (uint token = get_group_id(0); token < p.tokens; token += get_num_groups(0)) {
        const int position = AT(int, positions_bytes, p.positions_at)[token];
        const int sequence = AT(int, sequences_bytes, p.sequences_at)[token];
        const bool known = sequence >= 0 && (uint)sequence < p.sequences;
        const int2 keys = seen_keys(
            &p, known ? AT(int, lengths_bytes, p.lengths_at)[sequence] : 0, position, split);
        global const float *q =
            AT(float, q_bytes, p.q_at) + (ulong)token * p.q_token + (ulong)head * p.q_head;
        float top = -INFINITY, sum = 0.0f;
        float4 acc = (float4)(0.0f); // of column_of(0..3)
        for (int begin = keys.x; begin < keys.y; begin += kChunk) {
            const int key = begin + (int)i;
            const uint cell =
                key < keys.y ? cell_of(&p, pages_bytes, (uint)sequence, key) : kNoCell;
            float score = -INFINITY;
            if (cell != kNoCell)
                score = score_of(&p, q,
                                 CONST_AT(uchar, k_bytes,
                                          k_base + (ulong)cell * p.k_cell * unit_of(TYPE_K)),
                                 slope, key - position);
            cells[i] = cell;
            shared[i] = score;
            barrier(CLK_LOCAL_MEM_FENCE);
            const float peak = fmax(top, reduce(shared, true));
            const float weight = cell == kNoCell || peak == -INFINITY ? 0.0f : exp(score - peak);
            const float keep = top == -INFINITY ? 0.0f : exp(top - peak);
            scores[i] = weight;
            shared[i] = weight;
            barrier(CLK_LOCAL_MEM_FENCE);
            sum = sum * keep + reduce(shared, false);
            top = peak;
            acc *= keep;
            const uint count = (uint)min(keys.y - begin, (int)kChunk);
            for (uint n = 0; n < count; n += kBatch)
                acc += values_of(&p, CONST_AT(uchar, v_bytes, v_base), cells + n, scores + n, column);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        const uint row = token * p.heads + head;
        float factor = 1.0f;
        global float *y = AT(float, y_bytes, p.y_at) + (ulong)row * p.dv;
        if (p.splits > 1) {
            // (max, sum, result without the division), joined by attention_combine.cl.
            y = AT(float, y_bytes, p.y_at) +
                ((ulong)split * p.tokens * p.heads + row) * (p.dv + 2);
            if (i == 0 && column == 0) {
                y[0] = top;
                y[1] = sum;
            }
            y += 2;
        } else if (top == -INFINITY) {
            factor = 0.0f;
        } else if (p.sinks_at != kNone) {
            const float sink = AT(float, sinks_bytes, p.sinks_at)[head], peak = fmax(top, sink);
            const float keep = exp(top - peak);
            factor = keep / (sum * keep + exp(sink - peak));
        } else {
            factor = 1.0f / sum;
        }
        const float values[kColumnsOfThread] = {acc.x, acc.y, acc.z, acc.w};
        for (uint c = 0; c < kColumnsOfThread; ++c) {
            const uint at = column + column_of(c);
            if (at < p.dv) y[at] = factor == 0.0f ? 0.0f : values[c] * factor;
        }
    }
}
