// Matmuls with packed weights (packed_format.h). Lanes are rows of weights: no horizontal sum, and each
// activation is a broadcast from memory. A tile is some groups of rows times some tokens whose sums stay
// in registers. One token is bound by reading weights, so tiles of a single group fetch far ahead:
// out-of-order execution alone does not keep DRAM busy.
#pragma once

#include "plugins/cpu/kernels/levels.h"
#include "plugins/cpu/kernels/packed_format.h"

#define RZ_INLINE __attribute__((always_inline)) inline
#define RZ_UNROLL _Pragma("GCC unroll 16")

namespace realizar::cpu::RZ_CPU_ISA {

// What simd_<name>.h gives beyond simd_scalar.h: for I the operators & ^ + *, shift_left<N> and
// shift_right<N> (no sign), and_or(a, mask, b) = (a & mask) | b, lanes_u8 and lanes_i8 (kLanes bytes, one
// in each lane), as_float (the bits), repeat16 (16 bytes over and over), pick_bytes(table, index) within each 16 bytes, dot2 (two
// products of signed 16-bit numbers in each lane, added), and for sums of products that wait for their
// common scale:
//   partial_dot(s, w, x)   dot4 for them. Where kNarrowPartials they are pairs of 16 bits, which overflow
//                          after a few steps
//   scale_operand(scale)   scales of -128..255 in the form that add_scaled takes
//   add_scaled(a, s, scale)   a + s * scale, pairs joined
// and the tiles, in groups of 16 rows and tokens: kTileGroups x kTileTokens in panels (panel.h); here kPassGroups
// x kPassTokens and 1 x kSingleTokens.

template <int N>
struct Number {
    static constexpr int value = N;
};
// fn(Number<0>) ... fn(Number<N - 1>), unrolled.
template <int N, int FIRST = 0, class Fn>
static RZ_INLINE void repeat(Fn fn) {
    if constexpr (FIRST < N) {
        fn(Number<FIRST>{});
        repeat<N, FIRST + 1>(fn);
    }
}

constexpr int kParts = static_cast<int>(kPackedRows) / kLanes; // vectors of a group
constexpr int64_t kAhead = 4096; // bytes; distances of 2 to 40 KB measured alike

template <int N>
static RZ_INLINE I shift(I a) { // to the left, or to the right by -N
    if constexpr (N > 0) return shift_left<N>(a);
    if constexpr (N < 0) return shift_right<-N>(a);
    return a;
}
static RZ_INLINE I low_nibbles(I line) { return line & iset1(0x0f0f0f0f); }
static RZ_INLINE I high_nibbles(I line) { return shift_right<4>(line) & iset1(0x0f0f0f0f); }

// Rows of token t.
static RZ_INLINE const uint8_t *packed_x(const PackedArgs &a, uint64_t t) {
    const int64_t row = a.lines ? a.lines[t] / a.lines_per_x : static_cast<int64_t>(t);
    return a.x + row * a.x_stride;
}
static RZ_INLINE float *packed_y(const PackedArgs &a, uint64_t t) {
    const int64_t row = a.lines ? a.lines[t] : static_cast<int64_t>(t);
    return reinterpret_cast<float *>(reinterpret_cast<uint8_t *>(a.y) + row * a.y_stride);
}

// Adds 2^TO to the bytes of a quad where its bit is set, the line of bits having QUAD of them before it.
template <int QUAD, int TO>
static RZ_INLINE I add_bits(I quad, I bits) {
    return and_or(shift<TO - QUAD>(bits), iset1(0x01010101 << TO), quad);
}

// Levels as dot4_wide takes them.
struct LevelBytes {
    uint8_t v[16];
};
static constexpr LevelBytes level_bytes(const int8_t (&levels)[16]) {
    LevelBytes bytes = {};
    for (int i = 0; i < 16; ++i)
        bytes.v[i] = static_cast<uint8_t>(levels[i] + kByteBias);
    return bytes;
}
static constexpr LevelBytes kBytesIQ4 = level_bytes(kLevelsIQ4),
                            kBytesE2M1 = level_bytes(kLevelsE2M1);

// Sums of products for types whose bytes are signed, or biased (kWide), and others.
template <class T>
constexpr bool kNarrow = kNarrowPartials && !T::kWide;
template <class T>
static RZ_INLINE I sum_of(I s, I w, I x) {
    if constexpr (T::kWide) return dot4_wide(s, w, x);
    return partial_dot(s, w, x);
}
// Quads that fit a narrow sum: each adds at most 2 * 127 * kTop.
template <class T, int QUADS>
constexpr int kFitting =
    !kNarrow<T> || 32767 / (254 * T::kTop) >= QUADS ? QUADS : 32767 / (254 * T::kTop) / 2 * 2;

} // namespace realizar::cpu::RZ_CPU_ISA
