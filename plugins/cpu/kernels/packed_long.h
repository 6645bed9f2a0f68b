// Packed types with blocks of 256 (packed.h) and their tiles.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

constexpr int kFamilyGroups = 1;
template <class, int>
constexpr int kFamilyTokens = kSingleTokens;

// Each has kScales scales in a block, for kQuads steps of 4 elements each; bytes are at most kTop. kWide: they
// are signed, plus kByteBias. `block` points to the block of a group of rows, PART says which lanes of it.
// Scale S of the four from `four` on: loops go over fours, because the code of a whole block would not fit
// the caches. bytes gives steps 2 J and 2 J + 1 of a scale.
// What is taken off the products: kPairs pairs of signed 16-bit numbers times the sums of activations
// under two neighbouring scales, all times `dmin`. Where kOffsets, sums may begin at Q8LongRow::offsets
// instead.

// 6 bits: fours, 8 or 16 of them in a block, and twos.
template <int PART, int S>
static RZ_INLINE I six_bits(const uint8_t *fours, const uint8_t *twos, uint64_t four) {
    const I low = lanes_u8(fours + 8 * four + 16 * (S / 2) + PART * kLanes);
    const I high = lanes_u8(twos + 4 * four + PART * kLanes);
    const I nibble = S % 2 ? shift_right<4>(low) : low & iset1(15);
    return and_or(shift<4 - 2 * S>(high), iset1(0x30), nibble);
}
template <int PART>
static RZ_INLINE F half_lanes(const uint8_t *p) {
    return load_f16(reinterpret_cast<const uint16_t *>(p) + PART * kLanes);
}

template <class F_>
struct MinScales {
    using Format = F_;
    static constexpr int kScales = 8, kQuads = 8, kPairs = 4;
    static constexpr bool kWide = false, kOffsets = false;
    template <int PART, int S>
    static RZ_INLINE I scale(const uint8_t *block, uint64_t four) {
        return six_bits<PART, S>(block + Format::kScales, block + Format::kScalesHigh, four);
    }
    // The mins.
    template <int PART, int P>
    static RZ_INLINE I pairs(const uint8_t *block) {
        const I low = lanes_u8(block + Format::kMins + 16 * P + PART * kLanes);
        const I high = lanes_u8(block + Format::kMinsHigh + 16 * (P / 2) + PART * kLanes);
        const I nibbles = and_or(shift_left<12>(low), iset1(0x000f0000), low & iset1(15));
        constexpr int kAt = 4 * (P % 2);
        return and_or(shift<4 - kAt>(high), iset1(0x30),
                      and_or(shift<18 - kAt>(high), iset1(0x300000), nibbles));
    }
    template <int PART>
    static RZ_INLINE F dmin(const uint8_t *block) {
        return half_lanes<PART>(block + Format::kDmin);
    }
};

// Bytes that are OFFSET too large: mins of OFFSET * scale.
template <class T, int OFFSET>
struct OffsetPairs {
    template <int PART, int P>
    static RZ_INLINE I pairs(const uint8_t *block) {
        constexpr int S = 2 * P % 4;
        const I first = T::template scale<PART, S>(block, 2 * P - S);
        const I second = T::template scale<PART, S + 1>(block, 2 * P - S);
        return and_or(first, iset1(0xffff), shift_left<16>(second));
    }
    template <int PART>
    static RZ_INLINE F dmin(const uint8_t *block) {
        return half_lanes<PART>(block + T::Format::kD) * set1(OFFSET);
    }
};

struct Packed_Q4_K : MinScales<PackedQ4K> {
    static constexpr int kTop = 15;
    template <int PART, int S, int J>
    static RZ_INLINE void bytes(const uint8_t *block, uint64_t four, I &even, I &odd) {
        const I line = iload(block + 256 * four + 64 * (4 * S + J) + PART * kLanes * 4);
        even = low_nibbles(line);
        odd = high_nibbles(line);
    }
};

struct Packed_Q5_K : MinScales<PackedQ5K> {
    static constexpr int kTop = 31;
    template <int PART, int S, int J>
    static RZ_INLINE void bytes(const uint8_t *block, uint64_t four, I &even, I &odd) {
        block += PART * kLanes * 4;
        const I line = iload(block + 256 * four + 64 * (4 * S + J));
        const I bits = iload(block + Format::kBits + 64 * four + 64 * S);
        even = add_bits<2 * J, 4>(low_nibbles(line), bits);
        odd = add_bits<2 * J + 1, 4>(high_nibbles(line), bits);
    }
};

struct Packed_Q6_K : OffsetPairs<Packed_Q6_K, 32> {
    using Format = PackedQ6K;
    static constexpr int kTop = 63, kScales = 16, kQuads = 4, kPairs = 8;
    static constexpr bool kWide = false, kOffsets = true;
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

struct Packed_Q3_K : OffsetPairs<Packed_Q3_K, 4> {
    using Format = PackedQ3K;
    static constexpr int kTop = 7, kScales = 16, kQuads = 4, kPairs = 8;
    static constexpr bool kWide = false, kOffsets = false;
    template <int PART, int S>
    static RZ_INLINE I scale(const uint8_t *block, uint64_t four) {
        return six_bits<PART, S>(block + Format::kScales, block + Format::kScalesHigh, four) -
               iset1(32);
    }
    template <int PART, int S, int J>
    static RZ_INLINE void bytes(const uint8_t *block, uint64_t four, I &even, I &odd) {
        block += PART * kLanes * 4;
        const I crumbs = iload(block + 64 * four + 64 * S);
        const I bits = iload(block + Format::kBits + 32 * four + 64 * (S / 2));
        const I mask = iset1(0x03030303);
        constexpr int kQuad = 4 * (S % 2) + 2 * J;
        even = add_bits<kQuad, 2>(shift<-4 * J>(crumbs) & mask, bits);
        odd = add_bits<kQuad + 1, 2>(shift<-4 * J - 2>(crumbs) & mask, bits);
    }
};

struct Packed_IQ4_XS : OffsetPairs<Packed_IQ4_XS, kByteBias> {
    using Format = PackedIQ4XS;
    static constexpr int kTop = 255, kScales = 8, kQuads = 8, kPairs = kByteBias ? 4 : 0;
    static constexpr bool kWide = true, kOffsets = false;
    template <int PART, int S>
    static RZ_INLINE I scale(const uint8_t *block, uint64_t four) {
        return six_bits<PART, S>(block + Format::kScales, block + Format::kScalesHigh, four) -
               iset1(32);
    }
    template <int PART, int S, int J>
    static RZ_INLINE void bytes(const uint8_t *block, uint64_t four, I &even, I &odd) {
        const I line = iload(block + 256 * four + 64 * (4 * S + J) + PART * kLanes * 4);
        const I levels = repeat16(kBytesIQ4.v);
        even = pick_bytes(levels, low_nibbles(line));
        odd = pick_bytes(levels, high_nibbles(line));
    }
};

// Sums of the tile's rows and tokens in one block under one scale, added to `total`.
template <class T, int S, int R, int C>
static RZ_INLINE void add_scale(const uint8_t *const *block, const Q8LongRow *x, uint64_t b,
                                uint64_t four, I (&total)[R][C]) {
    constexpr int kRun = kFitting<T, T::kQuads>;
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
        if constexpr (kNarrow<T>) scale[r.value] = scale_operand(scale[r.value]);
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
                    s = sum_of<T>(sum_of<T>(s, even[r.value], first), odd[r.value], second);
                });
            });
        });
        repeat<R * C>([&](auto i) __attribute__((always_inline)) {
            constexpr int r = i.value / C, c = i.value % C;
            if constexpr (kNarrow<T>)
                total[r][c] = add_scaled(total[r][c], sum[r][c], scale[r]);
            else
                total[r][c] = total[r][c] + sum[r][c] * scale[r];
        });
    });
}

// The float ends of a block: acc += dx * (d * total - dmin * (pairs . sums)).
template <class T, int R, int C>
static RZ_INLINE void add_block(const uint8_t *const *block, const Q8LongRow *x, uint64_t b,
                                const I (&total)[R][C], F (&acc)[R][C]) {
    constexpr int kPairs = T::kOffsets ? 0 : T::kPairs;
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        constexpr int kPart = r.value % kParts;
        const uint8_t *p = block[r.value / kParts];
        const F d = half_lanes<kPart>(p + T::Format::kD);
        I off[C];
        repeat<C>([&](auto c) __attribute__((always_inline)) { off[c.value] = iset1(0); });
        repeat<kPairs>([&](auto i) __attribute__((always_inline)) {
            const I pair = T::template pairs<kPart, i.value>(p);
            repeat<C>([&](auto c) __attribute__((always_inline)) {
                const int16_t *sums = kPairs == 4 ? x[c.value].sums : x[c.value].sums16;
                off[c.value] =
                    dot2(off[c.value], pair, broadcast4(sums + 2 * kPairs * b + 2 * i.value));
            });
        });
        repeat<C>([&](auto c) __attribute__((always_inline)) {
            F value = to_f(total[r.value][c.value]) * d;
            if constexpr (kPairs > 0)
                value = fnma(to_f(off[c.value]), T::template dmin<kPart>(p), value);
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
        x[c] = q8_long_row(packed_x(a, token + static_cast<uint64_t>(c)), a.k);
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
