// Elementary functions on vectors.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

// e^x with a relative error below 3e-7; 0 below -86.6, Inf above 88.72; NaN stays NaN.
// x = n ln 2 + r with |r| <= ln(2)/2, e^r = 1 + r + r^2 p(r); p is a Chebyshev interpolation of
// degree 4, whose own error is 1e-8. ln 2 is split so that n * (high part) is exact.
static inline F exp(F x) {
    const F clamped = min(set1(88.8f), max(set1(-87.0f), x));
    const F n = round(clamped * set1(1.44269504f));
    F r = fnma(n, set1(0.693359375f), clamped);
    r = fnma(n, set1(-2.12194440e-4f), r);
    F p = set1(0.00139261258f);
    p = fma(p, r, set1(0.00836317334f));
    p = fma(p, r, set1(0.0416665561f));
    p = fma(p, r, set1(0.166665778f));
    p = fma(p, r, set1(0.5f));
    const F power = fma(p * r, r, r) + set1(1.0f);
    // n reaches 128, whose power of two is no float: half of it, twice.
    const F y = power * exp2i(n - set1(1.0f)) * set1(2.0f);
    return if_less(x, set1(-86.6f), zero(), if_less(set1(88.72f), x, set1(__builtin_inff()), y));
}

static inline F sigmoid(F x) { return set1(1.0f) / (set1(1.0f) + exp(zero() - x)); }

// Relative error below 4e-7: near 0, where 1 - 2 / (e^2x + 1) cancels, x + x^3 p(x^2) with a
// Chebyshev interpolation on [0, 0.625].
static inline F tanh(F x) {
    const F z = x * x;
    F p = set1(-0.00609671418f);
    p = fma(p, z, set1(0.0209971797f));
    p = fma(p, z, set1(-0.0538509078f));
    p = fma(p, z, set1(0.133327693f));
    p = fma(p, z, set1(-0.333333284f));
    const F small = fma(p * z, x, x);
    const F large = set1(1.0f) - set1(2.0f) / (exp(x + x) + set1(1.0f));
    return if_less(abs(x), set1(0.625f), small, large);
}

// Calls body(index, count) for each vector of n elements; only the last one is partial.
template <class Fn>
static inline void for_vectors(uint64_t n, Fn body) {
    uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        body(i, static_cast<uint64_t>(kLanes));
    if (i < n) body(i, n - i);
}
static inline F load_some(const float *p, uint64_t n) {
    return n == kLanes ? load(p) : load_n(p, n);
}
static inline void store_some(float *p, F a, uint64_t n) {
    if (n == kLanes)
        store(p, a);
    else
        store_n(p, a, n);
}
// a with zeros from lane n on.
static inline F keep(F a, uint64_t n) {
    if (n == kLanes) return a;
    float lanes[kLanes] = {};
    store_n(lanes, a, n);
    return load(lanes);
}

// The largest element, NaN left out; -Inf if there is none.
static inline float row_max(const float *x, uint64_t n) {
    F best = set1(-__builtin_inff());
    uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        best = max(load(x + i), best);
    float result = reduce_max(best);
    for (; i < n; ++i)
        result = x[i] > result ? x[i] : result;
    return result;
}

} // namespace realizar::cpu::RZ_CPU_ISA
