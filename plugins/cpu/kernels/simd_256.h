// 32 bytes and 8 lanes for the instruction sets with AVX2; definitions in simd_scalar.h.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace realizar::cpu::RZ_CPU_ISA {

struct B32 {
    __m256i v;
};
struct F8 {
    __m256 v;
};
struct I8 {
    __m256i v;
};

static inline float half_to_float(uint16_t h) { return _cvtsh_ss(h); }
static inline uint16_t float_to_half(float x) { return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT); }

static inline F8 f8_set1(float x) { return {_mm256_set1_ps(x)}; }
static inline F8 f8_load(const float *p) { return {_mm256_loadu_ps(p)}; }
static inline void f8_store(float *p, F8 a) { _mm256_storeu_ps(p, a.v); }
template <int... LANES>
static inline F8 f8_pick(F8 a) {
    return {_mm256_permutevar8x32_ps(a.v, _mm256_setr_epi32(LANES...))};
}
static inline F8 f8_from_i8(const int8_t *p) {
    return {_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p))))};
}
static inline F8 f8_mul(F8 a, F8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
static inline F8 f8_fma(F8 a, F8 b, F8 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
static inline float f8_reduce_add(F8 a) {
    __m128 r = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    r = _mm_add_ps(r, _mm_movehl_ps(r, r));
    return _mm_cvtss_f32(_mm_add_ss(r, _mm_movehdup_ps(r)));
}
static inline void f8_reduce_add4(__m256 a, __m256 b, __m256 c, __m256 d, float *out) {
    const __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}
static inline F8 f8_from(I8 a) { return {_mm256_cvtepi32_ps(a.v)}; }
static inline F8 f8_from_u8(const uint8_t *p) {
    return {_mm256_cvtepi32_ps(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p))))};
}

static inline B32 b32_load(const void *p) {
    return {_mm256_loadu_si256(static_cast<const __m256i *>(p))};
}
static inline void b32_store(void *p, B32 a) {
    _mm256_storeu_si256(static_cast<__m256i *>(p), a.v);
}
static inline B32 b32_nibbles(const uint8_t *p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
    const __m256i both = _mm256_set_m128i(_mm_srli_epi16(raw, 4), raw);
    return {_mm256_and_si256(both, _mm256_set1_epi8(15))};
}
static inline B32 b32_low_nibbles(B32 a) { return {_mm256_and_si256(a.v, _mm256_set1_epi8(15))}; }
static inline B32 b32_high_nibbles(B32 a) {
    return {_mm256_and_si256(_mm256_srli_epi16(a.v, 4), _mm256_set1_epi8(15))};
}
template <int J>
static inline B32 b32_crumbs_x16(B32 a) {
    const __m256i shifted =
        J < 2 ? _mm256_slli_epi16(a.v, 4 - 2 * J) : _mm256_srli_epi16(a.v, 2 * J - 4);
    return {_mm256_and_si256(shifted, _mm256_set1_epi8(48))};
}
static inline B32 b32_or(B32 a, B32 b) { return {_mm256_or_si256(a.v, b.v)}; }

static inline I8 b32_dot(B32 w, B32 x) {
#ifdef __AVX512VNNI__
    return {_mm256_dpbusd_epi32(_mm256_setzero_si256(), w.v, x.v)};
#elif defined(__AVXVNNI__)
    return {_mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), w.v, x.v)};
#else
    return {_mm256_madd_epi16(_mm256_maddubs_epi16(w.v, x.v), _mm256_set1_epi16(1))};
#endif
}
// |w| * (sign of w moved to x); 2 * 128 * 127 still fits the 16 bits of maddubs.
static inline I8 b32_dot_signed(B32 w, B32 x) {
    return b32_dot({_mm256_abs_epi8(w.v)}, {_mm256_sign_epi8(x.v, w.v)});
}
static inline I8 madd16(const int8_t *a, const int16_t *b) {
    const __m256i wide =
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(a)));
    return {_mm256_madd_epi16(wide, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(b)))};
}

} // namespace realizar::cpu::RZ_CPU_ISA
