// Attention of one token: its queries of a key head against keys and values that are read from the cache
// in place, in the cache's type. See KeyArgs, SoftenArgs and ValueArgs.
#pragma once

#include "plugins/cpu/kernels/convert.h"
#include "plugins/cpu/kernels/lane_sums.h"

namespace realizar::cpu::RZ_CPU_ISA {

// --- rows of a cache, as blocks of vectors ---
template <class T>
struct FloatRows {
    static constexpr int kVectors = 1;
    static inline uint64_t bytes(uint64_t n) { return n * T::kBytes; }
    static inline void load(const uint8_t *row, uint64_t block, F *out) {
        out[0] = T::load(row + block * kLanes * T::kBytes);
    }
    // n elements, zeros behind.
    static inline F load_end(const uint8_t *row, uint64_t block, uint64_t n) {
        return load_tail<T>(row + block * kLanes * T::kBytes, n);
    }
};

// Blocks of 32 in multiples of a scale in front, an F16. DATA bytes follow it.
template <int DATA>
struct BlockRows {
    static constexpr int kVectors = 32 / kLanes, kBytes = 2 + DATA;
    static inline uint64_t bytes(uint64_t n) { return n / 32 * kBytes; }
    static inline F scale(const uint8_t *block) {
        uint16_t d;
        memcpy(&d, block, 2);
        return set1(half_to_float(d));
    }
    static inline F load_end(const uint8_t *, uint64_t, uint64_t) { return zero(); }
};
struct Q8Rows : BlockRows<32> {
    static inline void load(const uint8_t *row, uint64_t block, F *out) {
        row += block * kBytes;
        const F d = scale(row);
        for (int i = 0; i < kVectors; ++i)
            out[i] = to_f(lanes_i8(row + 2 + i * kLanes)) * d;
    }
};
struct Q4Rows : BlockRows<16> {
    static inline void load(const uint8_t *row, uint64_t block, F *out) {
        row += block * kBytes;
        const F d = scale(row), eight = set1(8.0f);
        for (int i = 0; i < kVectors / 2; ++i) {
            const I pairs = lanes_u8(row + 2 + i * kLanes);
            out[i] = (to_f(pairs & iset1(15)) - eight) * d;
            out[i + kVectors / 2] = (to_f(shift_right<4>(pairs)) - eight) * d;
        }
    }
};

template <class T>
static inline uint64_t row_end(uint64_t n) { // elements behind the last whole block
    return n % static_cast<uint64_t>(T::kVectors * kLanes);
}

// Rows for a later call, into the second level: a few at a time, so that they do not wait for each other.
struct Ahead {
    const uint8_t *rows;
    uint64_t count;
    int64_t stride;
    uint64_t bytes; // of a row

    __attribute__((always_inline)) void prefetch(uint64_t row) const {
        if (row >= count) return;
        const uint8_t *p = rows + static_cast<int64_t>(row) * stride;
        for (uint64_t i = 0; i < bytes; i += 64)
            __builtin_prefetch(p + i, 0, 2);
    }
};

// --- scores ---
// M queries against kLanes / M keys from `key` on: each vector of a key is converted once for them all.
template <class T, int M>
static inline void score_tile(const KeyArgs &a, uint64_t query, uint64_t key) {
    constexpr int N = kLanes / M, V = T::kVectors;
    const uint8_t *row[N];
    for (int n = 0; n < N; ++n) { // the last key again for those that are missing
        const uint64_t at = key + static_cast<uint64_t>(n);
        row[n] = a.k + static_cast<int64_t>(at < a.count ? at : a.count - 1) * a.stride;
    }
    const float *q = a.q + query * a.dk;
    F sum[M][N];
#pragma GCC unroll 16
    for (int i = 0; i < M * N; ++i)
        sum[i / N][i % N] = zero();
    const uint64_t blocks = a.dk / (V * kLanes), end = row_end<T>(a.dk);
    for (uint64_t b = 0; b < blocks; ++b, q += V * kLanes) {
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n) {
            F k[V];
            T::load(row[n], b, k);
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
#pragma GCC unroll 16
                for (int m = 0; m < M; ++m)
                    sum[m][n] = fma(load(q + static_cast<uint64_t>(m) * a.dk + v * kLanes), k[v],
                                    sum[m][n]);
        }
    }
    if (end)
        for (int n = 0; n < N; ++n) {
            const F k = T::load_end(row[n], blocks, end);
            for (int m = 0; m < M; ++m)
                sum[m][n] = fma(load_n(q + static_cast<uint64_t>(m) * a.dk, end), k, sum[m][n]);
        }
    float sums[M * N];
    store(sums, lane_sums(sum[0]));
    for (uint64_t m = 0; m < M; ++m)
        memcpy(a.scores + (query + m) * kAttentionChunk + key, sums + m * N, N * sizeof(float));
}

// Queries of a tile, so that four keys are left for each of them.
constexpr int kMostQueries = kLanes / 4;

template <class T>
static void score_keys(const KeyArgs &a) {
    count_call();
    const Ahead ahead = {a.next, a.next_count, a.stride, T::bytes(a.dk)};
    uint64_t query = 0;
    const auto tiles = [&]<int M>() {
        for (; query + M <= a.queries; query += M)
            for (uint64_t key = 0; key < a.count; key += kLanes / M) {
                if (query == 0)
                    for (uint64_t n = 0; n < kLanes / M; ++n)
                        ahead.prefetch(key + n);
                score_tile<T, M>(a, query, key);
            }
    };
    if constexpr (kMostQueries >= 4) tiles.template operator()<4>();
    if constexpr (kMostQueries >= 2) tiles.template operator()<2>();
    tiles.template operator()<1>();
}

// --- softmax ---
static inline void adjust_scores(const SoftenArgs &a, uint64_t query, float *scores) {
    for_vectors(a.count, [&](uint64_t i, uint64_t c) {
        F s = load_some(scores + i, c) * set1(a.scale);
        if (a.softcap > 0.0f) s = tanh(s / set1(a.softcap)) * set1(a.softcap);
        store_some(scores + i, s, c);
    });
    if (!a.slopes) return;
    for (uint64_t i = 0; i < a.count; ++i)
        scores[i] += a.slopes[query] * static_cast<float>(a.bias_at + static_cast<int64_t>(i));
}

static void soften(const SoftenArgs &a) {
    count_call();
    for (uint64_t query = 0; query < a.queries; ++query) {
        float *scores = a.scores + query * kAttentionChunk;
        adjust_scores(a, query, scores);
        const float top = row_max(scores, a.count), old = a.max[query];
        const float next = top > old ? top : old;
        // Nothing but -Inf and NaN so far: weights of exp(-Inf - -Inf) would be NaN.
        const float base = next == -__builtin_inff() ? 0.0f : next;
        F total = zero();
        for_vectors(a.count, [&](uint64_t i, uint64_t c) {
            const F e = keep(exp(load_some(scores + i, c) - set1(base)), c);
            total = total + e;
            store_some(scores + i, e, c);
        });
        float factor = 0.0f;
        if (old != -__builtin_inff()) factor = old == next ? 1.0f : expf(old - next);
        a.factors[query] = factor;
        a.max[query] = next;
        a.sum[query] = a.sum[query] * factor + reduce_add(total);
    }
}

// --- values ---
// acc = acc * factor + weights * values for M queries and B blocks of columns.
template <class T, int M, int B>
static inline void value_tile(const ValueArgs &a, uint64_t query, uint64_t block,
                              const Ahead &ahead) {
    constexpr int V = B * T::kVectors;
    float *acc = a.acc + query * a.dv + block * T::kVectors * kLanes;
    const float *weights = a.weights + query * kAttentionChunk;
    F sum[M][V];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v)
            sum[m][v] = load(acc + static_cast<uint64_t>(m) * a.dv + v * kLanes) *
                        set1(a.factors[query + static_cast<uint64_t>(m)]);
    const uint8_t *row = a.v;
    for (uint64_t j = 0; j < a.count; ++j, row += a.stride) {
        ahead.prefetch(j);
        F value[V];
#pragma GCC unroll 16
        for (int b = 0; b < B; ++b)
            T::load(row, block + static_cast<uint64_t>(b), value + b * T::kVectors);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
            const F weight = set1(weights[static_cast<uint64_t>(m) * kAttentionChunk + j]);
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
                sum[m][v] = fma(weight, value[v], sum[m][v]);
        }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v)
            store(acc + static_cast<uint64_t>(m) * a.dv + v * kLanes, sum[m][v]);
}

// What is left of the rows behind the last whole block.
template <class T>
static inline void value_end(const ValueArgs &a, uint64_t query, uint64_t block, uint64_t n) {
    float *acc = a.acc + query * a.dv + block * T::kVectors * kLanes;
    F sum = load_n(acc, n) * set1(a.factors[query]);
    const uint8_t *row = a.v;
    for (uint64_t j = 0; j < a.count; ++j, row += a.stride)
        sum = fma(set1(a.weights[query * kAttentionChunk + j]), T::load_end(row, block, n), sum);
    store_n(acc, sum, n);
}

template <class T>
static void add_values(const ValueArgs &a) {
    count_call();
    Ahead ahead = {a.next, a.next_count, a.stride, T::bytes(a.dv)};
    // Four vectors of columns beside several queries, eight beside one.
    constexpr int kFew = T::kVectors < 4 ? 4 / T::kVectors : 1, kMany = 2 * kFew;
    const uint64_t blocks = a.dv / (T::kVectors * kLanes), end = row_end<T>(a.dv);
    uint64_t query = 0;
    const auto once = [](Ahead &rows) { // for the first tile only
        const Ahead result = rows;
        rows.count = 0;
        return result;
    };
    const auto tiles = [&]<int M>() {
        for (; query + M <= a.queries; query += M) {
            uint64_t b = 0;
            if constexpr (M == 1)
                for (; b + kMany <= blocks; b += kMany)
                    value_tile<T, M, kMany>(a, query, b, once(ahead));
            for (; b + kFew <= blocks; b += kFew)
                value_tile<T, M, kFew>(a, query, b, once(ahead));
            for (; b < blocks; ++b)
                value_tile<T, M, 1>(a, query, b, once(ahead));
            for (uint64_t m = 0; end && m < M; ++m)
                value_end<T>(a, query + m, blocks, end);
        }
    };
    if constexpr (kMostQueries >= 4) tiles.template operator()<4>();
    if constexpr (kMostQueries >= 2) tiles.template operator()<2>();
    tiles.template operator()<1>();
}

} // namespace realizar::cpu::RZ_CPU_ISA
