// The sums across lanes of many vectors at once.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

#ifdef __AVX512F__

// Lanes of pairs of vectors are added until each lane stands for one of 16 vectors: 30 shuffles and 15
// additions, where one vector after the other would take more than 10 of them each.
static inline F lane_sums(const F *s) {
    __m512 halves[8], blocks[4];
    // In the order in which the last two steps put vectors side by side.
    const auto at = [&](int i) { return s[i % 4 * 4 + i / 4].v; };
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        const __m512 a = at(2 * i), b = at(2 * i + 1);
        halves[i] =
            _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m512 a = halves[2 * i], b = halves[2 * i + 1];
        blocks[i] =
            _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
    }
    const __m512 first = _mm512_add_ps(_mm512_unpacklo_ps(blocks[0], blocks[1]),
                                       _mm512_unpackhi_ps(blocks[0], blocks[1]));
    const __m512 second = _mm512_add_ps(_mm512_unpacklo_ps(blocks[2], blocks[3]),
                                        _mm512_unpackhi_ps(blocks[2], blocks[3]));
    const __m512d a = _mm512_castps_pd(first), b = _mm512_castps_pd(second);
    return {_mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                          _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))};
}

#else

// Lane i: the sum of s[i].
static inline F lane_sums(const F *s) {
    float sums[kLanes];
    for (int i = 0; i < kLanes; i += 4)
        reduce_add4(s + i, sums + i);
    return load(sums);
}

#endif

} // namespace realizar::cpu::RZ_CPU_ISA
