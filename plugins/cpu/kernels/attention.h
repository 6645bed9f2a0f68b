// Online softmax over a chunk of keys for the queries of one key head; see AttentionArgs.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

// Four keys against one query: the query's vectors are loaded once.
static inline void dot_keys(const float *q, const float *k, uint64_t dk, int keys, float *out) {
    F sum[4] = {zero(), zero(), zero(), zero()};
    for_vectors(dk, [&](uint64_t i, uint64_t c) {
        const F qs = load_some(q + i, c);
        for (int j = 0; j < keys; ++j)
            sum[j] = fma(qs, load_some(k + static_cast<uint64_t>(j) * dk + i, c), sum[j]);
    });
    for (int j = 0; j < keys; ++j)
        out[j] = reduce_add(sum[j]);
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
    for (uint64_t query = 0; query < a.queries; ++query) {
        const uint64_t first = a.first[query], last = a.last[query];
        if (first >= last) continue;
        const uint64_t n = last - first;
        float *scores = a.scores + query * kAttentionChunk;
        for (uint64_t j = 0; j < n; j += 4) {
            const int keys = n - j < 4 ? static_cast<int>(n - j) : 4;
            const float *k = a.k + (first + j) * a.dk;
            // The constant lets the compiler keep the four sums in registers.
            if (keys == 4)
                dot_keys(a.q + query * a.dk, k, a.dk, 4, scores + j);
            else
                dot_keys(a.q + query * a.dk, k, a.dk, keys, scores + j);
        }
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
