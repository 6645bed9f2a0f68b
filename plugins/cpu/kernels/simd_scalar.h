// The readable definition of the vector types: plain loops, no instruction beyond the baseline.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace realizar::cpu::RZ_CPU_ISA {

// --- floats and 32-bit integers in kLanes lanes ---
constexpr int kLanes = 4;
struct F {
    float v[kLanes];
};
struct I {
    int32_t v[kLanes];
};

template <class Fn>
static inline F map(Fn fn) {
    F r;
    for (int i = 0; i < kLanes; ++i)
        r.v[i] = fn(i);
    return r;
}

static inline F set1(float x) {
    return map([&](int) { return x; });
}
static inline F zero() { return set1(0.0f); }
static inline F load_n(const float *p, uint64_t n) {
    F r = zero();
    memcpy(r.v, p, n * sizeof(float));
    return r;
}
static inline F load(const float *p) { return load_n(p, kLanes); }
static inline void store_n(float *p, F a, uint64_t n) { memcpy(p, a.v, n * sizeof(float)); }
static inline void store(float *p, F a) { store_n(p, a, kLanes); }
static inline F operator+(F a, F b) {
    return map([&](int i) { return a.v[i] + b.v[i]; });
}
static inline F operator-(F a, F b) {
    return map([&](int i) { return a.v[i] - b.v[i]; });
}
static inline F operator*(F a, F b) {
    return map([&](int i) { return a.v[i] * b.v[i]; });
}
static inline F operator/(F a, F b) {
    return map([&](int i) { return a.v[i] / b.v[i]; });
}
// a * b + c and c - a * b, rounded once where the instruction set has it.
static inline F fma(F a, F b, F c) { return a * b + c; }
static inline F fnma(F a, F b, F c) { return c - a * b; }
// b where a or b is NaN.
static inline F max(F a, F b) {
    return map([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
static inline F min(F a, F b) {
    return map([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
static inline F abs(F a) {
    return map([&](int i) { return fabsf(a.v[i]); });
}
static inline F round(F a) {
    return map([&](int i) { return rintf(a.v[i]); });
}
// a < b ? x : y
static inline F if_less(F a, F b, F x, F y) {
    return map([&](int i) { return a.v[i] < b.v[i] ? x.v[i] : y.v[i]; });
}
// 2^n for whole n in -126..127; any value for others.
static inline F exp2i(F n) {
    return map([&](int i) {
        const bool fits = n.v[i] >= -126.0f && n.v[i] <= 127.0f;
        const uint32_t bits = static_cast<uint32_t>((fits ? static_cast<int>(n.v[i]) : 0) + 127)
                              << 23;
        float r;
        memcpy(&r, &bits, 4);
        return r;
    });
}
static inline float reduce_add(F a) {
    float r = 0;
    for (int i = 0; i < kLanes; ++i)
        r += a.v[i];
    return r;
}
// The sums of four vectors at once.
static inline void reduce_add4(const F *a, float *out) {
    for (int i = 0; i < 4; ++i)
        out[i] = reduce_add(a[i]);
}
static inline float reduce_max(F a) {
    float r = a.v[0];
    for (int i = 1; i < kLanes; ++i)
        r = a.v[i] > r ? a.v[i] : r;
    return r;
}

// Whole lanes in -127..127 as bytes.
static inline void store_i8(int8_t *p, F a) {
    for (int i = 0; i < kLanes; ++i)
        p[i] = static_cast<int8_t>(a.v[i]);
}

// --- half precision ---
static inline float half_to_float(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 31u;
    const uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0) {
        const float tiny = static_cast<float>(mantissa) * 0x1p-24f;
        return sign ? -tiny : tiny;
    }
    const uint32_t bits =
        sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13;
    float r;
    memcpy(&r, &bits, 4);
    return r;
}
static inline uint16_t float_to_half(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
    if (rest >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u); // 65520 and above
    if (rest < 0x38800000u) { // below 2^-14: a multiple of 2^-24
        const float scaled = rintf(fabsf(x) * 0x1p24f);
        return static_cast<uint16_t>(sign | static_cast<uint32_t>(scaled));
    }
    const uint32_t rounded = rest + 0xfffu + (rest >> 13 & 1u);
    return static_cast<uint16_t>(sign | (rounded - 0x38000000u) >> 13);
}
static inline F load_f16(const uint16_t *p) {
    return map([&](int i) { return half_to_float(p[i]); });
}
static inline void store_f16(uint16_t *p, F a) {
    for (int i = 0; i < kLanes; ++i)
        p[i] = float_to_half(a.v[i]);
}
static inline F load_bf16(const uint16_t *p) {
    return map([&](int i) {
        const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
        float r;
        memcpy(&r, &bits, 4);
        return r;
    });
}
static inline void store_bf16(uint16_t *p, F a) {
    for (int i = 0; i < kLanes; ++i) {
        uint32_t bits;
        memcpy(&bits, &a.v[i], 4);
        const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
        p[i] = static_cast<uint16_t>(nan ? bits >> 16 | 0x40u
                                         : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    }
}

// --- 4 * kLanes bytes as dot-product operands ---
// Added to signed weight bytes when they are packed for dot4_wide.
constexpr int kByteBias = 0;
static inline I iset1(int32_t x) {
    I r;
    for (int32_t &lane : r.v)
        lane = x;
    return r;
}
static inline I iload(const void *p) {
    I r;
    memcpy(r.v, p, sizeof(r));
    return r;
}
// The same 4 bytes in each lane.
static inline I broadcast4(const void *p) {
    int32_t x;
    memcpy(&x, p, 4);
    return iset1(x);
}
static inline F to_f(I a) {
    return map([&](int i) { return static_cast<float>(a.v[i]); });
}
// acc + the sum of 4 products of w (bytes 0..63) and x (signed bytes) in each lane.
static inline I dot4(I acc, I w, I x) {
    for (int i = 0; i < kLanes; ++i)
        for (int b = 0; b < 32; b += 8)
            acc.v[i] += (w.v[i] >> b & 255) * static_cast<int8_t>(x.v[i] >> b & 255);
    return acc;
}
// The same for signed bytes w, packed with kByteBias.
static inline I dot4_wide(I acc, I w, I x) {
    for (int i = 0; i < kLanes; ++i)
        for (int b = 0; b < 32; b += 8)
            acc.v[i] +=
                static_cast<int8_t>(w.v[i] >> b & 255) * static_cast<int8_t>(x.v[i] >> b & 255);
    return acc;
}

// --- rows of quantised caches ---
static inline I operator&(I a, I b) {
    I r;
    for (int i = 0; i < kLanes; ++i)
        r.v[i] = a.v[i] & b.v[i];
    return r;
}
template <int N>
static inline I shift_right(I a) { // of lanes that are not negative
    for (int32_t &lane : a.v)
        lane >>= N;
    return a;
}
// kLanes bytes, one in each lane.
static inline I lanes_u8(const uint8_t *p) {
    I r;
    for (int i = 0; i < kLanes; ++i)
        r.v[i] = p[i];
    return r;
}
static inline I lanes_i8(const uint8_t *p) {
    I r;
    for (int i = 0; i < kLanes; ++i)
        r.v[i] = static_cast<int8_t>(p[i]);
    return r;
}

// --- 32 bytes and 8 lanes: the unit of quantised row dots ---
struct B32 {
    uint8_t v[32];
};
struct F8 {
    float v[8];
};
struct I8 {
    int32_t v[8];
};

template <class Fn>
static inline F8 map8(Fn fn) {
    F8 r;
    for (int i = 0; i < 8; ++i)
        r.v[i] = fn(i);
    return r;
}
template <class Fn>
static inline B32 map32(Fn fn) {
    B32 r;
    for (int i = 0; i < 32; ++i)
        r.v[i] = static_cast<uint8_t>(fn(i));
    return r;
}
static inline F8 f8_set1(float x) {
    return map8([&](int) { return x; });
}
static inline F8 f8_load(const float *p) {
    F8 r;
    memcpy(r.v, p, sizeof(r));
    return r;
}
static inline void f8_store(float *p, F8 a) { memcpy(p, a.v, sizeof(a)); }
// Lane i takes lane LANES[i].
template <int... LANES>
static inline F8 f8_pick(F8 a) {
    return {{a.v[LANES]...}};
}
static inline F8 f8_from_i8(const int8_t *p) {
    return map8([&](int i) { return static_cast<float>(p[i]); });
}
static inline F8 f8_mul(F8 a, F8 b) {
    return map8([&](int i) { return a.v[i] * b.v[i]; });
}
static inline F8 f8_fma(F8 a, F8 b, F8 c) {
    return map8([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
static inline float f8_reduce_add(F8 a) {
    float r = 0;
    for (float lane : a.v)
        r += lane;
    return r;
}
static inline F8 f8_from(I8 a) {
    return map8([&](int i) { return static_cast<float>(a.v[i]); });
}
static inline F8 f8_from_u8(const uint8_t *p) {
    return map8([&](int i) { return static_cast<float>(p[i]); });
}
static inline B32 b32_load(const void *p) {
    B32 r;
    memcpy(r.v, p, 32);
    return r;
}
static inline void b32_store(void *p, B32 a) { memcpy(p, a.v, 32); }
// 16 bytes: low nibbles in bytes 0..15, high nibbles in bytes 16..31.
static inline B32 b32_nibbles(const uint8_t *p) {
    return map32([&](int i) { return i < 16 ? p[i] & 15 : p[i - 16] >> 4; });
}
static inline B32 b32_low_nibbles(B32 a) {
    return map32([&](int i) { return a.v[i] & 15; });
}
static inline B32 b32_high_nibbles(B32 a) {
    return map32([&](int i) { return a.v[i] >> 4; });
}
// Bits 2j and 2j+1 of each byte, as 0..3, times 16.
template <int J>
static inline B32 b32_crumbs_x16(B32 a) {
    return map32([&](int i) { return (a.v[i] >> 2 * J & 3) << 4; });
}
static inline B32 b32_or(B32 a, B32 b) {
    return map32([&](int i) { return a.v[i] | b.v[i]; });
}
// Lane i: the sum of 4 products of bytes 4i..4i+3; w unsigned, at most 63.
static inline I8 b32_dot(B32 w, B32 x) {
    I8 r = {};
    for (int i = 0; i < 32; ++i)
        r.v[i / 4] += w.v[i] * static_cast<int8_t>(x.v[i]);
    return r;
}
// The same for signed w.
static inline I8 b32_dot_signed(B32 w, B32 x) {
    I8 r = {};
    for (int i = 0; i < 32; ++i)
        r.v[i / 4] += static_cast<int8_t>(w.v[i]) * static_cast<int8_t>(x.v[i]);
    return r;
}
// Lane i: a[2i] * b[2i] + a[2i+1] * b[2i+1] over 16 elements.
static inline I8 madd16(const int8_t *a, const int16_t *b) {
    I8 r;
    for (int i = 0; i < 8; ++i)
        r.v[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    return r;
}

} // namespace realizar::cpu::RZ_CPU_ISA

#include "plugins/cpu/kernels/simd_pair.h"
