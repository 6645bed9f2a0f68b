// Packed types with blocks of 256 (packed.h) and their tiles.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

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
static RZ_INLINE void tile_sums(const PackedArgs &a, uint64_t group, uint64_t token,
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

} // namespace realizar::cpu::RZ_CPU_ISA
