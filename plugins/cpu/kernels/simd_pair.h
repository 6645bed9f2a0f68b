// 64 bytes and 16 lanes as two units of 32 bytes and 8 lanes: for instruction sets whose registers
// are not that wide. Two groups of 32 weights sit side by side.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

struct B64 {
    B32 low, high;
};
struct F16L {
    F8 low, high;
};
struct I16L {
    I8 low, high;
};

static inline B64 b64_load(const uint8_t *p) { return {b32_load(p), b32_load(p + 32)}; }
static inline B64 b64_load(const int8_t *p) { return {b32_load(p), b32_load(p + 32)}; }
// 32 bytes: their low nibbles, then their high ones.
static inline B64 b64_split_nibbles(const uint8_t *p) {
    const B32 raw = b32_load(p);
    return {b32_low_nibbles(raw), b32_high_nibbles(raw)};
}
// b32_nibbles of 16 bytes at p, then of 16 bytes at q.
static inline B64 b64_nibbles(const uint8_t *p, const uint8_t *q) {
    return {b32_nibbles(p), b32_nibbles(q)};
}
static inline B64 b64_low_nibbles(B64 a) {
    return {b32_low_nibbles(a.low), b32_low_nibbles(a.high)};
}
static inline B64 b64_high_nibbles(B64 a) {
    return {b32_high_nibbles(a.low), b32_high_nibbles(a.high)};
}
// 32 bytes: b32_crumbs_x16<2J> of them, then b32_crumbs_x16<2J + 1>.
template <int J>
static inline B64 b64_split_crumbs_x16(const uint8_t *p) {
    const B32 raw = b32_load(p);
    return {b32_crumbs_x16<2 * J>(raw), b32_crumbs_x16<2 * J + 1>(raw)};
}
static inline B64 b64_or(B64 a, B64 b) { return {b32_or(a.low, b.low), b32_or(a.high, b.high)}; }
// Lane i: the sum of 4 products of bytes 4i..4i+3; w unsigned, at most 63.
static inline I16L b64_dot(B64 w, B64 x) {
    return {b32_dot(w.low, x.low), b32_dot(w.high, x.high)};
}

static inline F16L f16l_zero() { return {f8_set1(0.0f), f8_set1(0.0f)}; }
static inline F16L f16l_halves(float low, float high) { return {f8_set1(low), f8_set1(high)}; }
static inline F16L f16l_from(I16L a) { return {f8_from(a.low), f8_from(a.high)}; }
static inline F16L f16l_from_i8(const int8_t *p) { return {f8_from_i8(p), f8_from_i8(p + 8)}; }
static inline F16L f16l_mul(F16L a, F16L b) {
    return {f8_mul(a.low, b.low), f8_mul(a.high, b.high)};
}
static inline F16L f16l_fma(F16L a, F16L b, F16L c) {
    return {f8_fma(a.low, b.low, c.low), f8_fma(a.high, b.high, c.high)};
}
static inline float f16l_reduce_add(F16L a) { return f8_reduce_add(a.low) + f8_reduce_add(a.high); }
// Each lane twice.
static inline F16L f16l_twice(F8 a) {
    return {f8_pick<0, 0, 1, 1, 2, 2, 3, 3>(a), f8_pick<4, 4, 5, 5, 6, 6, 7, 7>(a)};
}
// Lanes 2J and 2J + 1, each 8 times.
template <int J>
static inline F16L f16l_spread8(F8 a) {
    constexpr int i = 2 * J, k = i + 1;
    return {f8_pick<i, i, i, i, i, i, i, i>(a), f8_pick<k, k, k, k, k, k, k, k>(a)};
}
// Lanes 4J..4J + 3, each 4 times.
template <int J>
static inline F16L f16l_spread4(F16L a) {
    const F8 half = J < 2 ? a.low : a.high;
    constexpr int i = 4 * (J % 2);
    return {f8_pick<i, i, i, i, i + 1, i + 1, i + 1, i + 1>(half),
            f8_pick<i + 2, i + 2, i + 2, i + 2, i + 3, i + 3, i + 3, i + 3>(half)};
}

} // namespace realizar::cpu::RZ_CPU_ISA
