// Matmuls with packed weights (packed_format.h). Lanes are rows of weights: no horizontal sum, and each
// activation is a broadcast from memory. A tile is some groups of rows times some tokens whose sums stay
// in registers. One token is bound by reading weights, so tiles of a single group fetch far ahead:
// out-of-order execution alone does not keep DRAM busy.
#pragma once

#include "plugins/cpu/kernels/packed_format.h"

#define RZ_INLINE __attribute__((always_inline)) inline
#define RZ_UNROLL _Pragma("GCC unroll 16")

namespace realizar::cpu::RZ_CPU_ISA {

// What simd_<name>.h gives beyond simd_scalar.h: for I the operators & ^ + *, shift_left<N> and
// shift_right<N> (no sign), and_or(a, mask, b) = (a & mask) | b, lanes_u8 and lanes_i8 (kLanes bytes, one
// in each lane), dot2 (two products of signed 16-bit numbers in each lane, added), and for sums of
// products that wait for their common scale:
//   partial_dot(s, w, x)   dot4 for them. Where kNarrowPartials they are pairs of 16 bits, which overflow
//                          after a few steps
//   scale_operand(scale)   scales of -128..255 in the form that add_scaled takes
//   add_scaled(a, s, scale)   a + s * scale, pairs joined
// and the tiles, in groups of 16 rows and tokens: kTileGroups x kTileTokens, here kPassGroups x kPassTokens.

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

// --- types with blocks of 256 ---
// Each has kScales scales in a block, for kQuads steps of 4 elements each; bytes are at most kTop.
// `block` points to the block of a group of rows, PART says which lanes of it. Scale S of the four from
// `four` on: loops go over fours, because the code of a whole block would not fit the caches.
template <class Format>
struct MinScales {
    static constexpr int kScales = 8, kQuads = 8;
    static constexpr bool kMins = true, kOffsets = false;
    template <int PART, int S>
    static RZ_INLINE I scale(const uint8_t *block, uint64_t four) {
        block += PART * kLanes;
        const I low = lanes_u8(block + Format::kScales + 8 * four + 16 * (S / 2));
        const I high = lanes_u8(block + Format::kScalesHigh + 4 * four);
        const I nibble = S % 2 ? shift_right<4>(low) : low & iset1(15);
        return and_or(shift<4 - 2 * S>(high), iset1(0x30), nibble);
    }
    // The mins of groups 2 P and 2 P + 1 as 16-bit pairs.
    template <int PART, int P>
    static RZ_INLINE I mins(const uint8_t *block) {
        const I low = lanes_u8(block + Format::kMins + 16 * P + PART * kLanes);
        const I high = lanes_u8(block + Format::kMinsHigh + 16 * (P / 2) + PART * kLanes);
        const I nibbles = and_or(shift_left<12>(low), iset1(0x000f0000), low & iset1(15));
        constexpr int kAt = 4 * (P % 2);
        return and_or(shift<4 - kAt>(high), iset1(0x30),
                      and_or(shift<18 - kAt>(high), iset1(0x300000), nibbles));
    }
    template <int PART>
    static RZ_INLINE F dmin(const uint8_t *block) {
        return load_f16(reinterpret_cast<const uint16_t *>(block + Format::kDmin) + PART * kLanes);
    }
};

struct Packed_Q4_K : MinScales<PackedQ4K> {
    using Format = PackedQ4K;
    static constexpr int kTop = 15;
    // Bytes of steps 2 J and 2 J + 1 of scale S.
    template <int PART, int S, int J>
    static RZ_INLINE void bytes(const uint8_t *block, uint64_t four, I &even, I &odd) {
        const I line = iload(block + 256 * four + 64 * (4 * S + J) + PART * kLanes * 4);
        even = low_nibbles(line);
        odd = high_nibbles(line);
    }
};

// Bytes are 32 too large: sums begin at Q8LongRow::offsets.
struct Packed_Q6_K {
    using Format = PackedQ6K;
    static constexpr int kTop = 63, kScales = 16, kQuads = 4;
    static constexpr bool kMins = false, kOffsets = true;
    template <int PART, int S>
    static RZ_INLINE I scale(const uint8_t *block, uint64_t four) {
        return lanes_i8(block + Format::kScales + 16 * four + 16 * S + PART * kLanes);
    }
    template <int PART, int S, int J>
    static RZ_INLINE void bytes(const uint8_t *block, uint64_t four, I &even, I &odd) {
        block += PART * kLanes * 4;
        const I line = iload(block + 128 * four + 64 * (2 * S + J));
        const I crumbs = iload(block + Format::kCrumbs + 64 * four + 64 * S);
        const I mask = iset1(0x30303030);
        even = and_or(shift<4 - 4 * J>(crumbs), mask, low_nibbles(line));
        odd = and_or(shift<2 - 4 * J>(crumbs), mask, high_nibbles(line));
    }
};

// Sums of the tile's rows and tokens in one block under one scale, added to `total`.
template <class T, int S, int R, int C>
static RZ_INLINE void add_scale(const uint8_t *const *block, const Q8LongRow *x, uint64_t b,
                                uint64_t four, I (&total)[R][C]) {
    // Sums in 16 bits hold so many steps: each adds at most 2 * 127 * kTop.
    constexpr int kFit = kNarrowPartials ? 32767 / (254 * T::kTop) / 2 * 2 : T::kQuads;
    constexpr int kRun = kFit < T::kQuads ? kFit : T::kQuads;
    I scale[R];
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        scale[r.value] = T::template scale<r.value % kParts, S>(block[r.value / kParts], four);
    });
    if constexpr (kNarrowPartials && T::kOffsets)
        repeat<R * C>([&](auto i) __attribute__((always_inline)) {
            constexpr int r = i.value / C, c = i.value % C;
            total[r][c] = total[r][c] + scale[r] * broadcast4(x[c].offsets + 16 * b + four + S);
        });
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        scale[r.value] = scale_operand(scale[r.value]);
    });
    repeat<T::kQuads / kRun>([&](auto run) __attribute__((always_inline)) {
        I sum[R][C];
        repeat<R * C>([&](auto i) __attribute__((always_inline)) {
            constexpr int r = i.value / C, c = i.value % C;
            if constexpr (T::kOffsets && !kNarrowPartials)
                sum[r][c] = broadcast4(x[c].offsets + 16 * b + four + S);
            else
                sum[r][c] = iset1(0);
        });
        repeat<kRun / 2>([&](auto j) __attribute__((always_inline)) {
            constexpr int step = run.value * kRun / 2 + j.value;
            I even[R], odd[R];
            repeat<R>([&](auto r) __attribute__((always_inline)) {
                T::template bytes<r.value % kParts, S, step>(block[r.value / kParts], four,
                                                             even[r.value], odd[r.value]);
            });
            repeat<C>([&](auto c) __attribute__((always_inline)) {
                const int8_t *q = x[c.value].q + 256 * b + 4 * T::kQuads * (four + S) + 8 * step;
                const I first = broadcast4(q), second = broadcast4(q + 4);
                repeat<R>([&](auto r) __attribute__((always_inline)) {
                    I &s = sum[r.value][c.value];
                    s = partial_dot(partial_dot(s, even[r.value], first), odd[r.value], second);
                });
            });
        });
        repeat<R * C>([&](auto i) __attribute__((always_inline)) {
            constexpr int r = i.value / C, c = i.value % C;
            total[r][c] = add_scaled(total[r][c], sum[r][c], scale[r]);
        });
    });
}

// The float ends of a block: acc += dx * (d * total - dmin * (mins . sums)).
template <class T, int R, int C>
static RZ_INLINE void add_block(const uint8_t *const *block, const Q8LongRow *x, uint64_t b,
                                const I (&total)[R][C], F (&acc)[R][C]) {
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        constexpr int kPart = r.value % kParts;
        const uint8_t *p = block[r.value / kParts];
        const F d =
            load_f16(reinterpret_cast<const uint16_t *>(p + T::Format::kD) + kPart * kLanes);
        I mins[4];
        if constexpr (T::kMins)
            repeat<4>([&](auto i) __attribute__((always_inline)) {
                mins[i.value] = T::template mins<kPart, i.value>(p);
            });
        repeat<C>([&](auto c) __attribute__((always_inline)) {
            F value = to_f(total[r.value][c.value]) * d;
            if constexpr (T::kMins) {
                I sum = iset1(0);
                repeat<4>([&](auto i) __attribute__((always_inline)) {
                    sum =
                        dot2(sum, mins[i.value], broadcast4(x[c.value].sums + 8 * b + 2 * i.value));
                });
                value = fnma(to_f(sum), T::template dmin<kPart>(p), value);
            }
            acc[r.value][c.value] = fma(value, set1(x[c.value].d[b]), acc[r.value][c.value]);
        });
    });
}

// Rows of GROUPS groups from `w` on times C tokens from `token` on.
template <class T, int GROUPS, int C>
static RZ_INLINE void long_tile(const PackedArgs &a, uint64_t group, uint64_t token,
                                F (&acc)[GROUPS * kParts][C]) {
    constexpr int R = GROUPS * kParts;
    const uint64_t group_bytes = packed_group_bytes<typename T::Format>(a.k);
    const uint8_t *block[GROUPS];
    for (int g = 0; g < GROUPS; ++g)
        block[g] = a.w + (group + static_cast<uint64_t>(g)) * group_bytes;
    Q8LongRow x[C];
    for (int c = 0; c < C; ++c)
        x[c] = q8_long_row(
            a.x + static_cast<int64_t>(token + static_cast<uint64_t>(c)) * a.x_stride, a.k);
    for (uint64_t b = 0; b < a.k / 256; ++b) {
        I total[R][C];
        repeat<R * C>([&](auto i) __attribute__((always_inline)) {
            total[i.value / C][i.value % C] = iset1(0);
        });
        for (uint64_t four = 0; four < T::kScales; four += 4)
            repeat<4>([&](auto s) __attribute__((always_inline)) {
                if constexpr (GROUPS == 1) {
                    constexpr uint64_t kShare = T::Format::kBytes / T::kScales;
                    for (uint64_t line = 0; line < kShare; line += 64)
                        __builtin_prefetch(block[0] + kAhead + (four + s.value) * kShare + line);
                }
                add_scale<T, s.value, R, C>(block, x, b, four, total);
            });
        add_block<T, R, C>(block, x, b, total, acc);
        for (int g = 0; g < GROUPS; ++g)
            block[g] += T::Format::kBytes;
    }
}

// --- types with blocks of 32 ---
struct Packed_Q8_0 {
    using Format = PackedQ8;
    static constexpr int kBiasShift = 7, kStep = 1, kSteps = 8;
    static constexpr bool kWide = true;
    template <int PART>
    static RZ_INLINE void bytes(const uint8_t *line, I *out) {
        out[0] = iload(line + PART * kLanes * 4);
        if constexpr (!kByteBias) out[0] = out[0] ^ iset1(static_cast<int32_t>(0x80808080u));
    }
};
struct Packed_Q4_0 {
    using Format = PackedQ4;
    static constexpr int kBiasShift = 3, kStep = 2, kSteps = 4;
    static constexpr bool kWide = false;
    template <int PART>
    static RZ_INLINE void bytes(const uint8_t *line, I *out) {
        const I raw = iload(line + PART * kLanes * 4);
        out[0] = low_nibbles(raw);
        out[1] = high_nibbles(raw);
    }
};

template <class T, int GROUPS, int C>
static RZ_INLINE void short_block(const uint8_t *const *lines, const uint8_t *const *scales,
                                  const Q8Row *x, uint64_t b, F (&acc)[GROUPS * kParts][C]) {
    constexpr int R = GROUPS * kParts;
    constexpr bool kSigned = T::kWide && !kByteBias; // no bias to take off
    constexpr bool kNarrow = !T::kWide && kNarrowPartials;
    I sum[R][C], start[C];
    repeat<C>([&](auto c) __attribute__((always_inline)) {
        start[c.value] =
            kSigned ? iset1(0) : shift_left<T::kBiasShift>(broadcast4(x[c.value].negated + b));
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            sum[r.value][c.value] = kNarrow ? iset1(0) : start[c.value];
        });
    });
    repeat<T::kSteps>([&](auto j) __attribute__((always_inline)) {
        I w[R][T::kStep];
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            T::template bytes<r.value % kParts>(lines[r.value / kParts] + 64 * j.value, w[r.value]);
        });
        repeat<C * T::kStep>([&](auto i) __attribute__((always_inline)) {
            constexpr int c = i.value / T::kStep, half = i.value % T::kStep;
            const I q = broadcast4(x[c].q + 32 * b + 4 * (j.value * T::kStep + half));
            repeat<R>([&](auto r) __attribute__((always_inline)) {
                I &s = sum[r.value][c];
                if constexpr (T::kWide)
                    s = dot4_wide(s, w[r.value][half], q);
                else
                    s = partial_dot(s, w[r.value][half], q);
            });
        });
    });
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        const F d = load_f16(reinterpret_cast<const uint16_t *>(scales[r.value / kParts]) +
                             r.value % kParts * kLanes);
        repeat<C>([&](auto c) __attribute__((always_inline)) {
            I s = sum[r.value][c.value];
            if constexpr (kNarrow) s = add_scaled(start[c.value], s, scale_operand(iset1(1)));
            acc[r.value][c.value] = fma(to_f(s), d * set1(x[c.value].d[b]), acc[r.value][c.value]);
        });
    });
}

template <class T, int GROUPS, int C>
static RZ_INLINE void short_tile(const PackedArgs &a, uint64_t group, uint64_t token,
                                 F (&acc)[GROUPS * kParts][C]) {
    using Format = typename T::Format;
    const uint64_t group_bytes = packed_group_bytes<Format>(a.k);
    const uint8_t *lines[GROUPS], *scales[GROUPS];
    for (int g = 0; g < GROUPS; ++g) {
        lines[g] = a.w + (group + static_cast<uint64_t>(g)) * group_bytes;
        scales[g] = lines[g] + Format::kD;
    }
    Q8Row x[C];
    for (int c = 0; c < C; ++c)
        x[c] =
            q8_row(a.x + static_cast<int64_t>(token + static_cast<uint64_t>(c)) * a.x_stride, a.k);
    for (uint64_t b = 0; b < a.k / 32; ++b) {
        if constexpr (GROUPS == 1)
            for (uint64_t line = 0; line < Format::kBlock + 32; line += 64)
                __builtin_prefetch(lines[0] + kAhead + line);
        short_block<T, GROUPS, C>(lines, scales, x, b, acc);
        // To the second block of a pair, or from it to the next pair.
        const uint64_t to_line = b % 2 ? Format::kBytes - Format::kBlock : Format::kBlock;
        const uint64_t to_scale = b % 2 ? Format::kBytes - 32 : 32;
        for (int g = 0; g < GROUPS; ++g) {
            lines[g] += to_line;
            scales[g] += to_scale;
        }
    }
}

// --- all types ---
template <class T, int GROUPS, int C>
static void packed_tile(const PackedArgs &a, uint64_t group, uint64_t token) {
    constexpr int R = GROUPS * kParts;
    F acc[R][C];
    repeat<R * C>([&](auto i)
                      __attribute__((always_inline)) { acc[i.value / C][i.value % C] = zero(); });
    if constexpr (T::Format::kElements == 256)
        long_tile<T, GROUPS, C>(a, group, token, acc);
    else
        short_tile<T, GROUPS, C>(a, group, token, acc);
    repeat<R * C>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = i.value / C, c = i.value % C;
        const uint64_t row = group * kPackedRows + r * kLanes;
        if (row >= a.rows) return;
        uint8_t *y =
            reinterpret_cast<uint8_t *>(a.y) + static_cast<int64_t>(token + c) * a.y_stride;
        store_some(reinterpret_cast<float *>(y) + row, acc[r][c],
                   a.rows - row < kLanes ? a.rows - row : kLanes);
    });
}

// At most kPassTokens tokens.
template <class T, int GROUPS, int C = kPassTokens>
static inline void packed_tokens(const PackedArgs &a, uint64_t group, uint64_t token,
                                 uint64_t count) {
    if constexpr (C > 1)
        if (count < C) return packed_tokens<T, GROUPS, C - 1>(a, group, token, count);
    packed_tile<T, GROUPS, C>(a, group, token);
}

// Weights of a panel stay in the second-level cache while all tokens pass.
constexpr uint64_t kPanelBytes = 192 << 10;

template <class T>
static inline void packed_pass(const PackedArgs &a) {
    const uint64_t groups = (a.rows + kPackedRows - 1) / kPackedRows;
    constexpr uint64_t G = T::Format::kElements == 256 ? 1 : kPassGroups, C = kPassTokens;
    const uint64_t fit = kPanelBytes / packed_group_bytes<typename T::Format>(a.k) / G * G;
    const uint64_t panel = a.tokens <= 2 * C ? 1 : fit < G ? G : fit;
    for (uint64_t begin = 0; begin < groups; begin += panel) {
        const uint64_t end = begin + panel < groups ? begin + panel : groups;
        for (uint64_t t = 0; t < a.tokens; t += C) {
            const uint64_t count = a.tokens - t < C ? a.tokens - t : C;
            uint64_t g = begin;
            if constexpr (G > 1)
                if (count == C && panel > 1)
                    for (; g + G <= end; g += G)
                        packed_tile<T, G, C>(a, g, t);
            for (; g < end; ++g)
                packed_tokens<T, 1>(a, g, t, count);
        }
    }
}

} // namespace realizar::cpu::RZ_CPU_ISA
