// Packed types with blocks of 32 (packed.h) and their tiles.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

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
static RZ_INLINE void tile_sums(const PackedArgs &a, uint64_t group, uint64_t token,
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

} // namespace realizar::cpu::RZ_CPU_ISA
