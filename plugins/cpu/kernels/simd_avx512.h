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
static inline I broadcast4(const void *p) {
    int32_t x;
    memcpy(&x, p, 4);
    return iset1(x);
}
static inline F to_f(I a) { return {_mm512_cvtepi32_ps(a.v)}; }
static inline I dot4(I acc, I w, I x) { return {_mm512_dpbusd_epi32(acc.v, w.v, x.v)}; }
static inline I dot4_wide(I acc, I w, I x) { return dot4(acc, w, x); }

} // namespace realizar::cpu::RZ_CPU_ISA
