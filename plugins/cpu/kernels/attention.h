// Online softmax over a chunk of keys for the queries of one key head; see AttentionArgs.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

// Four keys against QUERIES queries: each vector of a key is loaded once for all of them.
template <int QUERIES>
static inline void dot_keys(const float *q, const float *k, uint64_t dk, float *out) {
    F sum[QUERIES][4];
    for (auto &row : sum)
        for (F &s : row)
            s = zero();
    for_vectors(dk, [&](uint64_t i, uint64_t c) {
        F key[4];
        for (uint64_t j = 0; j < 4; ++j)
            key[j] = load_some(k + j * dk + i, c);
        for (uint64_t a = 0; a < QUERIES; ++a) {
            const F qs = load_some(q + a * dk + i, c);
            for (uint64_t j = 0; j < 4; ++j)
                sum[a][j] = fma(qs, key[j], sum[a][j]);
        }
    });
    for (uint64_t a = 0; a < QUERIES; ++a)
        reduce_add4(sum[a], out + a * kAttentionChunk);
}

// Queries whose 4 sums each still fit the registers: 16 with AVX2, 32 with AVX-512.
constexpr int kTogether = kLanes == 16 ? 4 : 2;

// Scores of all queries against all keys, also those that a query does not see: the caller looks at
// its own range only. `k` and the rows of scores have room for whole fours of keys.
static inline void dot_all(const AttentionArgs &a) {
    for (uint64_t j = 0; j < a.count; j += 4) {
        uint64_t query = 0;
        for (; query + kTogether <= a.queries; query += kTogether)
            dot_keys<kTogether>(a.q + query * a.dk, a.k + j * a.dk, a.dk,
                                a.scores + query * kAttentionChunk + j);
        for (; query < a.queries; ++query)
            dot_keys<1>(a.q + query * a.dk, a.k + j * a.dk, a.dk,
                        a.scores + query * kAttentionChunk + j);
    }
}

static inline void adjust_scores(const AttentionArgs &a, uint64_t query, float *scores,
                                 uint64_t first, uint64_t n) {
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        F s = load_some(scores + i, c) * set1(a.scale);
        if (a.softcap > 0.0f) s = tanh(s / set1(a.softcap)) * set1(a.softcap);
        store_some(scores + i, s, c);
    });
    if (!a.slopes) return;
    for (uint64_t i = 0; i < n; ++i)
        scores[i] += a.slopes[query] *
                     static_cast<float>(a.bias_at[query] + static_cast<int64_t>(first + i));
}

// acc = acc * keep + sum of p[j] * v[j]; eight vectors of acc at a time stay in registers.
static inline void add_values(float *acc, const float *v, const float *p, uint64_t n, uint64_t dv,
                              float keep_factor) {
    constexpr uint64_t wide = 8 * kLanes;
    uint64_t i = 0;
    for (; i + wide <= dv; i += wide) {
        F sum[8];
        for (uint64_t u = 0; u < 8; ++u)
            sum[u] = load(acc + i + u * kLanes) * set1(keep_factor);
        for (uint64_t j = 0; j < n; ++j) {
            const F weight = set1(p[j]);
            for (uint64_t u = 0; u < 8; ++u)
                sum[u] = fma(weight, load(v + j * dv + i + u * kLanes), sum[u]);
        }
        for (uint64_t u = 0; u < 8; ++u)
            store(acc + i + u * kLanes, sum[u]);
    }
    for (; i < dv; i += kLanes) {
        const uint64_t c = dv - i < kLanes ? dv - i : kLanes;
        F sum = load_some(acc + i, c) * set1(keep_factor);
        for (uint64_t j = 0; j < n; ++j)
            sum = fma(set1(p[j]), load_some(v + j * dv + i, c), sum);
        store_some(acc + i, sum, c);
    }
}

static void attention(const AttentionArgs &a) {
    count_call();
    dot_all(a);
    for (uint64_t query = 0; query < a.queries; ++query) {
        const uint64_t first = a.first[query], last = a.last[query];
        if (first >= last) continue;
        const uint64_t n = last - first;
        float *scores = a.scores + query * kAttentionChunk + first;
        adjust_scores(a, query, scores, first, n);
        const float top = row_max(scores, n);
        const float old = a.max[query];
        const float next = top > old ? top : old;
        // Nothing but -Inf and NaN so far: weights of exp(-Inf - -Inf) would be NaN.
        const float base = next == -__builtin_inff() ? 0.0f : next;
        F total = zero();
        for_vectors(n, [&](uint64_t i, uint64_t c) {
            const F e = keep(exp(load_some(scores + i, c) - set1(base)), c);
            total = total + e;
            store_some(scores + i, e, c);
        });
        float factor = 0.0f;
        if (old != -__builtin_inff()) factor = old == next ? 1.0f : expf(old - next);
        a.max[query] = next;
        a.sum[query] = a.sum[query] * factor + reduce_add(total);
        add_values(a.acc + query * a.dv, a.v + first * a.dv, scores, n, a.dv, factor);
    }
}

} // namespace realizar::cpu::RZ_CPU_ISA
