// AVX2 + FMA + F16C, and AVX-VNNI where the compiler has it on; definitions in simd_scalar.h.
#pragma once

#include "plugins/cpu/kernels/simd_256.h"

#include <string.h>

namespace realizar::cpu::RZ_CPU_ISA {

constexpr int kLanes = 8;
struct F {
    __m256 v;
};
struct I {
    __m256i v;
};

static inline F set1(float x) { return {_mm256_set1_ps(x)}; }
static inline F zero() { return {_mm256_setzero_ps()}; }
static inline __m256i lanes_below(uint64_t n) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
}
static inline F load(const float *p) { return {_mm256_loadu_ps(p)}; }
static inline F load_n(const float *p, uint64_t n) {
    return {_mm256_maskload_ps(p, lanes_below(n))};
}
static inline void store(float *p, F a) { _mm256_storeu_ps(p, a.v); }
static inline void store_n(float *p, F a, uint64_t n) {
    _mm256_maskstore_ps(p, lanes_below(n), a.v);
}
static inline F operator+(F a, F b) { return {_mm256_add_ps(a.v, b.v)}; }
static inline F operator-(F a, F b) { return {_mm256_sub_ps(a.v, b.v)}; }
static inline F operator*(F a, F b) { return {_mm256_mul_ps(a.v, b.v)}; }
static inline F operator/(F a, F b) { return {_mm256_div_ps(a.v, b.v)}; }
static inline F fma(F a, F b, F c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
static inline F fnma(F a, F b, F c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
static inline F max(F a, F b) { return {_mm256_max_ps(a.v, b.v)}; }
static inline F min(F a, F b) { return {_mm256_min_ps(a.v, b.v)}; }
static inline F abs(F a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
static inline F round(F a) {
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline F if_less(F a, F b, F x, F y) {
    return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
static inline F exp2i(F n) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(biased, 23))};
}
static inline float reduce_add(F a) { return f8_reduce_add({a.v}); }
static inline void reduce_add4(const F *a, float *out) {
    f8_reduce_add4(a[0].v, a[1].v, a[2].v, a[3].v, out);
}
static inline float reduce_max(F a) {
    __m128 r = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    r = _mm_max_ps(r, _mm_movehl_ps(r, r));
    return _mm_cvtss_f32(_mm_max_ss(r, _mm_movehdup_ps(r)));
}

static inline void store_i8(int8_t *p, F a) {
    const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.v), _mm256_setzero_si256());
    const __m256i bytes = _mm256_packs_epi16(words, words);
    const uint32_t low = static_cast<uint32_t>(_mm256_extract_epi32(bytes, 0));
    const uint32_t high = static_cast<uint32_t>(_mm256_extract_epi32(bytes, 4));
    memcpy(p, &low, 4);
    memcpy(p + 4, &high, 4);
}

static inline F load_f16(const uint16_t *p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)))};
}
static inline void store_f16(uint16_t *p, F a) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p),
                     _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
static inline F load_bf16(const uint16_t *p) {
    const __m256i wide =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
}
static inline void store_bf16(uint16_t *p, F a) {
    const __m256i bits = _mm256_castps_si256(a.v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
    const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm256_castsi256_si128(packed));
}

static inline I iset1(int32_t x) { return {_mm256_set1_epi32(x)}; }
static inline I iload(const void *p) {
    return {_mm256_loadu_si256(static_cast<const __m256i *>(p))};
}
static inline void istore(void *p, I a) { _mm256_storeu_si256(static_cast<__m256i *>(p), a.v); }
static inline I broadcast4(const void *p) {
    int32_t x;
    memcpy(&x, p, 4);
    return iset1(x);
}
static inline F to_f(I a) { return {_mm256_cvtepi32_ps(a.v)}; }
#ifdef __AVXVNNI__
constexpr int kByteBias = 128; // as with AVX-512
static inline I dot4(I acc, I w, I x) { return {_mm256_dpbusd_avx_epi32(acc.v, w.v, x.v)}; }
static inline I dot4_wide(I acc, I w, I x) { return dot4(acc, w, x); }
#else
// maddubs would saturate on bytes above 127, so signed bytes stay signed.
constexpr int kByteBias = 0;
static inline I dot4(I acc, I w, I x) {
    const __m256i pairs = _mm256_maddubs_epi16(w.v, x.v);
    return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}
static inline I dot4_wide(I acc, I w, I x) {
    return dot4(acc, {_mm256_abs_epi8(w.v)}, {_mm256_sign_epi8(x.v, w.v)});
}
#endif

// --- packed weights; definitions in packed.h ---
static inline I operator&(I a, I b) { return {_mm256_and_si256(a.v, b.v)}; }
static inline I operator^(I a, I b) { return {_mm256_xor_si256(a.v, b.v)}; }
static inline I operator+(I a, I b) { return {_mm256_add_epi32(a.v, b.v)}; }
static inline I operator-(I a, I b) { return {_mm256_sub_epi32(a.v, b.v)}; }
static inline I operator*(I a, I b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
template <int N>
static inline I shift_right(I a) {
    return {_mm256_srli_epi32(a.v, N)};
}
template <int N>
static inline I shift_left(I a) {
    return {_mm256_slli_epi32(a.v, N)};
}
static inline I and_or(I a, I mask, I b) {
    return {_mm256_or_si256(_mm256_and_si256(a.v, mask.v), b.v)};
}
static inline I lanes_u8(const uint8_t *p) {
    return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)))};
}
static inline I lanes_i8(const uint8_t *p) {
    return {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)))};
}
static inline F as_float(I bits) { return {_mm256_castsi256_ps(bits.v)}; }
static inline I repeat16(const uint8_t *p) {
    return {_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)))};
}
static inline I pick_bytes(I table, I index) { return {_mm256_shuffle_epi8(table.v, index.v)}; }

#ifdef __AVXVNNI__
static inline I dot2(I acc, I w, I x) { return {_mm256_dpwssd_avx_epi32(acc.v, w.v, x.v)}; }
constexpr bool kNarrowPartials = false;
static inline I partial_dot(I s, I w, I x) { return dot4(s, w, x); }
static inline I scale_operand(I scale) { return scale; }
static inline I add_scaled(I acc, I s, I scale) { return acc + s * scale; }
#else
static inline I dot2(I acc, I w, I x) {
    return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(w.v, x.v))};
}
// Pairs of products stay in 16 bits, and the multiplication by the scale widens them.
constexpr bool kNarrowPartials = true;
static inline I partial_dot(I s, I w, I x) {
    return {_mm256_add_epi16(s.v, _mm256_maddubs_epi16(w.v, x.v))};
}
static inline I scale_operand(I scale) {
    return and_or(scale, iset1(0xffff), shift_left<16>(scale));
}
static inline I add_scaled(I acc, I s, I scale) { return dot2(acc, s, scale); }
#endif

// 16 registers: a group of rows is two vectors.
#ifdef RZ_CPU_SMALL_TILES
constexpr int kTileGroups = 1, kTileTokens = 3, kPassGroups = 1, kPassTokens = 2, kSingleTokens = 2;
#else
constexpr int kTileGroups = 1, kTileTokens = 3, kPassGroups = 1, kPassTokens = 3, kSingleTokens = 3;
#endif

} // namespace realizar::cpu::RZ_CPU_ISA

#include "plugins/cpu/kernels/simd_pair.h"
