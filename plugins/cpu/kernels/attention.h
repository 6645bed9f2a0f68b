// Online softmax over a chunk of keys for many queries of one key head; see AttentionArgs.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

// c[i][0..width) += sum over n of a[i * row + j * step] * b[j][0..width), for M rows; `set` starts at 0.
struct Multiply {
    const float *a;
    uint64_t row, step;
    const float *b;
    uint64_t b_stride;
    uint64_t n;
    float *c;
    uint64_t c_stride;
    bool set;
};
// M rows times V vectors of columns from `column` on, the last of them with `last` lanes.
template <int M, int V>
static inline void multiply_tile(const Multiply &m, uint64_t column, uint64_t last) {
    F sum[M][V];
    const auto count = [&](int v) { return v == V - 1 ? last : static_cast<uint64_t>(kLanes); };
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v)
            sum[i][v] = m.set ? zero()
                              : load_some(m.c + static_cast<uint64_t>(i) * m.c_stride + column +
                                              static_cast<uint64_t>(v * kLanes),
                                          count(v));
    for (uint64_t j = 0; j < m.n; ++j) {
        const float *b = m.b + j * m.b_stride + column;
        F columns[V];
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v)
            columns[v] = load_some(b + v * kLanes, count(v));
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            const F x = set1(m.a[static_cast<uint64_t>(i) * m.row + j * m.step]);
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
                sum[i][v] = fma(x, columns[v], sum[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v)
            store_some(m.c + static_cast<uint64_t>(i) * m.c_stride + column +
                           static_cast<uint64_t>(v * kLanes),
                       sum[i][v], count(v));
}
constexpr int kTileRows = 4, kTileVectors = kLanes == 16 ? 4 : 2;

template <int M>
static inline void multiply_rows(const Multiply &m, uint64_t width) {
    constexpr uint64_t wide = kTileVectors * kLanes;
    uint64_t column = 0;
    for (; column + wide <= width; column += wide)
        multiply_tile<M, kTileVectors>(m, column, kLanes);
    for (; column < width; column += kLanes)
        multiply_tile<M, 1>(m, column, width - column < kLanes ? width - column : kLanes);
}

// scores[key][query]
static inline void score_lanes(const AttentionArgs &a) {
    uint64_t key = 0;
    Multiply m = {a.k, a.dk, 1, a.q, a.lanes, a.dk, a.scores, a.lanes, true};
    for (; key < a.count; key += kTileRows) { // k and scores have room for whole fours of keys
        m.a = a.k + key * a.dk;
        m.c = a.scores + key * a.lanes;
        multiply_rows<kTileRows>(m, a.lanes);
    }
}

// Online softmax of a vector of queries from `lane` on: weights instead of scores, new max and sum, and
// the factor for what was summed before.
static inline void soften_lanes(const AttentionArgs &a, uint64_t lane, bool all_visible) {
    float from[kLanes], behind[kLanes], bias[kLanes];
    for (uint64_t i = 0; i < kLanes; ++i) {
        from[i] = static_cast<float>(a.first[lane + i]);
        behind[i] = static_cast<float>(a.last[lane + i]);
        bias[i] = a.slopes ? static_cast<float>(a.bias_at[lane + i]) : 0.0f;
    }
    const F none = set1(-__builtin_inff()), old = load(a.max + lane);
    const F first = load(from), last = load(behind), at = load(bias);
    F top = old;
    for (uint64_t j = 0; j < a.count; ++j) {
        float *p = a.scores + j * a.lanes + lane;
        const F index = set1(static_cast<float>(j));
        F s = load(p) * set1(a.scale);
        if (a.softcap > 0.0f) s = tanh(s / set1(a.softcap)) * set1(a.softcap);
        if (a.slopes) s = fma(load(a.slopes + lane), at + index, s);
        if (!all_visible) s = if_less(index, first, none, if_less(index, last, s, none));
        store(p, s);
        top = max(s, top);
    }
    // Nothing but -Inf and NaN so far: weights of exp(-Inf - -Inf) would be NaN.
    const F base = if_less(none, top, top, zero());
    F total = zero();
    for (uint64_t j = 0; j < a.count; ++j) {
        float *p = a.scores + j * a.lanes + lane;
        const F e = exp(load(p) - base);
        store(p, e);
        total = total + e;
    }
    const F factor = exp(old - base);
    store(a.factors + lane, factor);
    store(a.max + lane, top);
    store(a.sum + lane, fma(load(a.sum + lane), factor, total));
}

static inline void scale_row(float *row, float factor, uint64_t n) {
    if (factor == 1.0f) return;
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        store_some(row + i, load_some(row + i, c) * set1(factor), c);
    });
}

// acc += weights * values, each query with the keys that it sees and no others: values that it does not
// see may be NaN. Neighbours share most of their keys.
static inline void add_lanes(const AttentionArgs &a) {
    const auto add = [&]<int M>(uint64_t query, uint64_t first, uint64_t last) {
        if (first >= last) return;
        multiply_rows<M>({a.scores + first * a.lanes + query, 1, a.lanes, a.v + first * a.dv, a.dv,
                          last - first, a.acc + query * a.dv, a.dv, false},
                         a.dv);
    };
    for (uint64_t query = 0; query < a.queries; query += kTileRows) {
        const uint64_t rest = a.queries - query, n = rest < kTileRows ? rest : kTileRows;
        uint64_t low = 0, high = a.count;
        for (uint64_t i = query; i < query + n; ++i) {
            scale_row(a.acc + i * a.dv, a.factors[i], a.dv);
            low = a.first[i] > low ? a.first[i] : low;
            high = a.last[i] < high ? a.last[i] : high;
        }
        const bool shared = n == kTileRows && low < high;
        if (shared) add.template operator()<kTileRows>(query, low, high);
        for (uint64_t i = query; i < query + n; ++i) {
            const uint64_t first = a.first[i], last = a.last[i];
            if (shared) {
                add.template operator()<1>(i, first, low);
                add.template operator()<1>(i, high, last);
            } else {
                add.template operator()<1>(i, first, last);
            }
        }
    }
}

static void attention(const AttentionArgs &a) {
    count_call();
    score_lanes(a);
    for (uint64_t lane = 0; lane < a.lanes; lane += kLanes) {
        bool all = true;
        for (uint64_t i = lane; i < lane + kLanes; ++i)
            all &= a.first[i] == 0 && a.last[i] == a.count;
        soften_lanes(a, lane, all);
    }
    add_lanes(a);
}

} // namespace realizar::cpu::RZ_CPU_ISA
