// Packed types with blocks of 32 (packed.h) and their tiles.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

constexpr int kFamilyGroups = kPassGroups;
template <class, int GROUPS>
constexpr int kFamilyTokens = GROUPS == 1 ? kSingleTokens : kPassTokens;

// A block has kSteps steps of kStep quads, whose bytes are at most kTop and kOffset too large. kWide: they are
// signed, plus kByteBias (then kOffset too). `scale` and, where kMins, `min` (added) read its end; lanes are
// those of PART.
struct HalfScale {
    static constexpr bool kMins = false;
    template <int PART>
    static RZ_INLINE F scale(const uint8_t *end) {
        return load_f16(reinterpret_cast<const uint16_t *>(end) + PART * kLanes);
    }
};
struct HalfScaleAndMin : HalfScale {
    static constexpr bool kMins = true;
    template <int PART>
    static RZ_INLINE F min(const uint8_t *end) {
        return scale<PART>(end + 32);
    }
};

struct Packed_Q8_0 : HalfScale {
    using Format = PackedQ8;
    static constexpr int kOffset = kByteBias, kTop = 255, kStep = 1, kSteps = 8;
    static constexpr bool kWide = true;
    template <int PART, int STEP>
    static RZ_INLINE void bytes(const uint8_t *block, I *out) {
        out[0] = iload(block + 64 * STEP + PART * kLanes * 4);
        if constexpr (!kByteBias) out[0] = out[0] ^ iset1(static_cast<int32_t>(0x80808080u));
    }
};

template <class F_, class Ends, int OFFSET>
struct PackedNibbles : Ends {
    using Format = F_;
    static constexpr int kOffset = OFFSET, kTop = 15, kStep = 2, kSteps = 4;
    static constexpr bool kWide = false;
    template <int PART, int STEP>
    static RZ_INLINE void bytes(const uint8_t *block, I *out) {
        const I line = iload(block + 64 * STEP + PART * kLanes * 4);
        out[0] = low_nibbles(line);
        out[1] = high_nibbles(line);
    }
};
using Packed_Q4_0 = PackedNibbles<PackedQ4, HalfScale, 8>;
using Packed_Q4_1 = PackedNibbles<PackedQ41, HalfScaleAndMin, 0>;

template <class F_, class Ends, int OFFSET>
struct PackedFives : Ends {
    using Format = F_;
    static constexpr int kOffset = OFFSET, kTop = 31, kStep = 2, kSteps = 4;
    static constexpr bool kWide = false;
    template <int PART, int STEP>
    static RZ_INLINE void bytes(const uint8_t *block, I *out) {
        block += PART * kLanes * 4;
        const I line = iload(block + 64 * STEP), bits = iload(block + 4 * 64);
        out[0] = add_bits<2 * STEP, 4>(low_nibbles(line), bits);
        out[1] = add_bits<2 * STEP + 1, 4>(high_nibbles(line), bits);
    }
};
using Packed_Q5_0 = PackedFives<PackedQ5, HalfScale, 16>;
using Packed_Q5_1 = PackedFives<PackedQ51, HalfScaleAndMin, 0>;

template <class F_, class Ends, const LevelBytes &LEVELS>
struct PackedLevels : Ends {
    using Format = F_;
    static constexpr int kOffset = kByteBias, kTop = 255, kStep = 2, kSteps = 4;
    static constexpr bool kWide = true;
    template <int PART, int STEP>
    static RZ_INLINE void bytes(const uint8_t *block, I *out) {
        const I line = iload(block + 64 * STEP + PART * kLanes * 4), levels = repeat16(LEVELS.v);
        out[0] = pick_bytes(levels, low_nibbles(line));
        out[1] = pick_bytes(levels, high_nibbles(line));
    }
};
using Packed_IQ4_NL = PackedLevels<PackedQ4, HalfScale, kBytesIQ4>;

// 2^(e - 128), since levels are doubled; 255 is NaN. As bits of a float e is one too high, and zero where
// it should be 2^-127.
struct ExponentScale {
    static constexpr bool kMins = false;
    template <int PART>
    static RZ_INLINE F scale(const uint8_t *end) {
        const F twice =
            max(as_float(shift_left<23>(lanes_u8(end + PART * kLanes))), set1(0x1p-127f));
        return fma(twice, set1(0.5f), twice - twice);
    }
};
using Packed_MXFP4 = PackedLevels<PackedMXFP4, ExponentScale, kBytesE2M1>;
// Levels and scales take registers that sums of more tokens would need (measured: 8 are slower than 6).
template <>
constexpr int kFamilyTokens<Packed_MXFP4, 1> = kSingleTokens < 6 ? kSingleTokens : 6;

template <class T, int GROUPS, int C>
static RZ_INLINE void short_block(const uint8_t *const *blocks, const uint8_t *const *ends,
                                  const Q8Row *x, uint64_t b, F (&acc)[GROUPS * kParts][C]) {
    constexpr int R = GROUPS * kParts, kFit = kFitting<T, 8> / T::kStep; // steps
    I start[C], sum[R][C], part[R][C];
    repeat<C>([&](auto c) __attribute__((always_inline)) {
        start[c.value] = iset1(0);
        if constexpr (T::kOffset > 0)
            start[c.value] =
                shift_left<__builtin_ctz(T::kOffset | 1 << 8)>(broadcast4(x[c.value].negated + b));
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            sum[r.value][c.value] = start[c.value];
            part[r.value][c.value] = iset1(0);
        });
    });
    repeat<T::kSteps>([&](auto j) __attribute__((always_inline)) {
        I w[R][T::kStep];
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            T::template bytes<r.value % kParts, j.value>(blocks[r.value / kParts], w[r.value]);
        });
        repeat<C * T::kStep>([&](auto i) __attribute__((always_inline)) {
            constexpr int c = i.value / T::kStep, half = i.value % T::kStep;
            const I q = broadcast4(x[c].q + 32 * b + 4 * (j.value * T::kStep + half));
            repeat<R>([&](auto r) __attribute__((always_inline)) {
                I &s = kNarrow<T> ? part[r.value][c] : sum[r.value][c];
                s = sum_of<T>(s, w[r.value][half], q);
            });
        });
        if constexpr (kNarrow<T> && (j.value + 1) % kFit == 0)
            repeat<R * C>([&](auto i) __attribute__((always_inline)) {
                constexpr int r = i.value / C, c = i.value % C;
                sum[r][c] = add_scaled(sum[r][c], part[r][c], scale_operand(iset1(1)));
                part[r][c] = iset1(0);
            });
    });
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        constexpr int kPart = r.value % kParts;
        const uint8_t *end = ends[r.value / kParts];
        const F d = T::template scale<kPart>(end);
        repeat<C>([&](auto c) __attribute__((always_inline)) {
            F &a = acc[r.value][c.value];
            a = fma(to_f(sum[r.value][c.value]), d * set1(x[c.value].d[b]), a);
            if constexpr (T::kMins) a = fma(T::template min<kPart>(end), set1(x[c.value].ds[b]), a);
        });
    });
}

template <class T, int GROUPS, int C>
static RZ_INLINE void tile_sums(const PackedArgs &a, uint64_t group, uint64_t token,
                                F (&acc)[GROUPS * kParts][C]) {
    using Format = typename T::Format;
    constexpr uint64_t kBlocks = Format::kElements / 32;
    const uint64_t group_bytes = packed_group_bytes<Format>(a.k), count = a.k / 32;
    const uint8_t *blocks[GROUPS], *ends[GROUPS];
    for (int g = 0; g < GROUPS; ++g) {
        blocks[g] = a.w + (group + static_cast<uint64_t>(g)) * group_bytes;
        ends[g] = blocks[g] + Format::kEnds;
    }
    Q8Row x[C];
    for (int c = 0; c < C; ++c)
        x[c] = q8_row(packed_x(a, token + static_cast<uint64_t>(c)), a.k);
    for (uint64_t b = 0; b < count; ++b) {
        if constexpr (GROUPS == 1)
            for (uint64_t line = 0; line < Format::kBlock + Format::kEnd; line += 64)
                __builtin_prefetch(blocks[0] + kAhead + line);
        short_block<T, GROUPS, C>(blocks, ends, x, b, acc);
        // From the last of several blocks to the next several.
        const bool last = b % kBlocks == kBlocks - 1;
        for (int g = 0; g < GROUPS; ++g) {
            blocks[g] += last ? Format::kBytes - (kBlocks - 1) * Format::kBlock : Format::kBlock;
            ends[g] += last ? Format::kBytes - (kBlocks - 1) * Format::kEnd : Format::kEnd;
        }
    }
}

} // namespace realizar::cpu::RZ_CPU_ISA
