// AVX-512 F, BW, VL, DQ and VNNI; definitions in simd_scalar.h.
#pragma once

#include "plugins/cpu/kernels/simd_256.h"

#include <string.h>

namespace realizar::cpu::RZ_CPU_ISA {

constexpr int kLanes = 16;
struct F {
    __m512 v;
};
struct I {
    __m512i v;
};

static inline F set1(float x) { return {_mm512_set1_ps(x)}; }
static inline F zero() { return {_mm512_setzero_ps()}; }
static inline __mmask16 lanes_below(uint64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
static inline F load(const float *p) { return {_mm512_loadu_ps(p)}; }
static inline F load_n(const float *p, uint64_t n) {
    return {_mm512_maskz_loadu_ps(lanes_below(n), p)};
}
static inline void store(float *p, F a) { _mm512_storeu_ps(p, a.v); }
static inline void store_n(float *p, F a, uint64_t n) {
    _mm512_mask_storeu_ps(p, lanes_below(n), a.v);
}
static inline F operator+(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline F operator-(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline F operator*(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline F operator/(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline F fnma(F a, F b, F c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
static inline F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline F abs(F a) { return {_mm512_abs_ps(a.v)}; }
static inline F round(F a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline F if_less(F a, F b, F x, F y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
static inline F exp2i(F n) { return {_mm512_scalef_ps(_mm512_set1_ps(1.0f), n.v)}; }
static inline float reduce_add(F a) { return _mm512_reduce_add_ps(a.v); }
static inline __m256 add_halves(F a) {
    return _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
}
static inline void reduce_add4(const F *a, float *out) {
    f8_reduce_add4(add_halves(a[0]), add_halves(a[1]), add_halves(a[2]), add_halves(a[3]), out);
}
static inline float reduce_max(F a) { return _mm512_reduce_max_ps(a.v); }

static inline void store_i8(int8_t *p, F a) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

static inline F load_f16(const uint16_t *p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)))};
}
static inline void store_f16(uint16_t *p, F a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p),
                        _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
static inline F load_bf16(const uint16_t *p) {
    const __m512i wide =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
// By integer arithmetic: vcvtneps2bf16 would flush subnormals.
static inline void store_bf16(uint16_t *p, F a) {
    const __m512i bits = _mm512_castps_si512(a.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    const __m512i fixed = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(fixed, 16)));
}

// vpdpbusd takes unsigned weights: signed ones are stored 128 higher, and 128 * sum(x) is taken off
// the accumulator.
constexpr int kByteBias = 128;
static inline I iset1(int32_t x) { return {_mm512_set1_epi32(x)}; }
static inline I iload(const void *p) { return {_mm512_loadu_si512(p)}; }
static inline void istore(void *p, I a) { _mm512_storeu_si512(p, a.v); }
static inline I broadcast4(const void *p) {
    int32_t x;
    memcpy(&x, p, 4);
    return iset1(x);
}
static inline F to_f(I a) { return {_mm512_cvtepi32_ps(a.v)}; }
static inline I dot4(I acc, I w, I x) { return {_mm512_dpbusd_epi32(acc.v, w.v, x.v)}; }
static inline I dot4_wide(I acc, I w, I x) { return dot4(acc, w, x); }

// --- packed weights; definitions in packed.h ---
static inline I operator&(I a, I b) { return {_mm512_and_si512(a.v, b.v)}; }
static inline I operator^(I a, I b) { return {_mm512_xor_si512(a.v, b.v)}; }
static inline I operator+(I a, I b) { return {_mm512_add_epi32(a.v, b.v)}; }
static inline I operator-(I a, I b) { return {_mm512_sub_epi32(a.v, b.v)}; }
static inline I operator*(I a, I b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
template <int N>
static inline I shift_right(I a) {
    return {_mm512_srli_epi32(a.v, N)};
}
template <int N>
static inline I shift_left(I a) {
    return {_mm512_slli_epi32(a.v, N)};
}
static inline I and_or(I a, I mask, I b) {
    return {_mm512_ternarylogic_epi32(a.v, mask.v, b.v, 0xea)};
}
static inline I lanes_u8(const uint8_t *p) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)))};
}
static inline I lanes_i8(const uint8_t *p) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)))};
}
static inline F as_float(I bits) { return {_mm512_castsi512_ps(bits.v)}; }
static inline I repeat16(const uint8_t *p) {
    return {_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)))};
}
static inline I pick_bytes(I table, I index) { return {_mm512_shuffle_epi8(table.v, index.v)}; }
static inline I dot2(I acc, I w, I x) { return {_mm512_dpwssd_epi32(acc.v, w.v, x.v)}; }

constexpr bool kNarrowPartials = false;
static inline I partial_dot(I s, I w, I x) { return dot4(s, w, x); }
static inline I scale_operand(I scale) { return scale; }
static inline I add_scaled(I acc, I s, I scale) { return acc + s * scale; }

// Tiles of packed matmuls: their sums fit the 32 registers.
#ifdef RZ_CPU_SMALL_TILES
constexpr int kTileGroups = 2, kTileTokens = 3, kPassGroups = 2, kPassTokens = 2, kSingleTokens = 3;
#else
constexpr int kTileGroups = 2, kTileTokens = 6, kPassGroups = 2, kPassTokens = 5, kSingleTokens = 8;
#endif

// --- 64 bytes and 16 lanes; definitions in simd_pair.h ---
struct B64 {
    __m512i v;
};
using F16L = F;
using I16L = I;

static inline B64 b64_load(const void *p) { return {_mm512_loadu_si512(p)}; }
// The same 32 bytes in both halves, then another shift for each half.
static inline __m512i both_halves(const uint8_t *p) {
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
}
static inline __m512i per_half(int64_t low, int64_t high) {
    return _mm512_setr_epi64(low, low, low, low, high, high, high, high);
}
static inline B64 b64_split_nibbles(const uint8_t *p) {
    const __m512i shifted = _mm512_srlv_epi64(both_halves(p), per_half(0, 4));
    return {_mm512_and_si512(shifted, _mm512_set1_epi8(15))};
}
static inline B64 b64_nibbles(const uint8_t *p, const uint8_t *q) {
    const __m256i raw = _mm256_set_m128i(_mm_loadu_si128(reinterpret_cast<const __m128i *>(q)),
                                         _mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
    const __m512i twice = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3),
                                                   _mm512_castsi256_si512(raw));
    const __m512i shifted = _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
    return {_mm512_and_si512(shifted, _mm512_set1_epi8(15))};
}
static inline B64 b64_low_nibbles(B64 a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
static inline B64 b64_high_nibbles(B64 a) {
    return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(15))};
}
template <int J>
static inline B64 b64_split_crumbs_x16(const uint8_t *p) {
    const __m512i raw = both_halves(p);
    const __m512i shifted =
        J == 0 ? _mm512_sllv_epi64(raw, per_half(4, 2)) : _mm512_srlv_epi64(raw, per_half(0, 2));
    return {_mm512_and_si512(shifted, _mm512_set1_epi8(48))};
}
static inline B64 b64_or(B64 a, B64 b) { return {_mm512_or_si512(a.v, b.v)}; }
static inline I16L b64_dot(B64 w, B64 x) {
    return {_mm512_dpbusd_epi32(_mm512_setzero_si512(), w.v, x.v)};
}

static inline F16L f16l_zero() { return zero(); }
static inline F16L f16l_halves(float low, float high) {
    return {_mm512_mask_broadcastss_ps(_mm512_set1_ps(low), 0xff00, _mm_set_ss(high))};
}
static inline F16L f16l_from(I16L a) { return to_f(a); }
static inline F16L f16l_from_i8(const int8_t *p) {
    return {_mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))))};
}
static inline F16L f16l_mul(F16L a, F16L b) { return a * b; }
static inline F16L f16l_fma(F16L a, F16L b, F16L c) { return fma(a, b, c); }
static inline float f16l_reduce_add(F16L a) { return reduce_add(a); }
static inline F16L f16l_twice(F8 a) {
    return {_mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
                                  _mm512_castps256_ps512(a.v))};
}
template <int J>
static inline F16L f16l_spread8(F8 a) {
    constexpr int i = 2 * J, k = i + 1;
    return {_mm512_permutexvar_ps(_mm512_setr_epi32(i, i, i, i, i, i, i, i, k, k, k, k, k, k, k, k),
                                  _mm512_castps256_ps512(a.v))};
}
template <int J>
static inline F16L f16l_spread4(F16L a) {
    constexpr int i = 4 * J;
    return {
        _mm512_permutexvar_ps(_mm512_setr_epi32(i, i, i, i, i + 1, i + 1, i + 1, i + 1, i + 2,
                                                i + 2, i + 2, i + 2, i + 3, i + 3, i + 3, i + 3),
                              a.v)};
}

} // namespace realizar::cpu::RZ_CPU_ISA
