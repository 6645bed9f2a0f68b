// Packed types of 16-bit floats (packed.h) and their tiles: exact products with floats.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

// As many as leave room for weights and activations in the registers.
constexpr int kFamilyGroups = kPassGroups;
#ifdef RZ_CPU_SMALL_TILES
template <class, int>
constexpr int kFamilyTokens = 3;
#else
template <class, int>
constexpr int kFamilyTokens = kLanes == 16 ? 12 : 6;
#endif

// `load` widens the lanes of PART of one element.
struct Packed_F16 {
    using Format = PackedHalves;
    template <int PART>
    static RZ_INLINE F load(const uint8_t *p) {
        return load_f16(reinterpret_cast<const uint16_t *>(p) + PART * kLanes);
    }
};
struct Packed_BF16 {
    using Format = PackedHalves;
    template <int PART>
    static RZ_INLINE F load(const uint8_t *p) {
        return load_bf16(reinterpret_cast<const uint16_t *>(p) + PART * kLanes);
    }
};

template <class T, int GROUPS, int C>
static RZ_INLINE void tile_sums(const PackedArgs &a, uint64_t group, uint64_t token,
                                F (&acc)[GROUPS * kParts][C]) {
    constexpr int R = GROUPS * kParts;
    // Chains of additions that do not wait for each other.
    constexpr int kChains = R * C >= 8 ? 1 : R * C >= 4 ? 2 : 4;
    const uint64_t group_bytes = packed_group_bytes<PackedHalves>(a.k);
    const uint8_t *w[GROUPS];
    for (int g = 0; g < GROUPS; ++g)
        w[g] = a.w + (group + static_cast<uint64_t>(g)) * group_bytes;
    const float *x[C];
    for (int c = 0; c < C; ++c)
        x[c] = reinterpret_cast<const float *>(packed_x(a, token + static_cast<uint64_t>(c)));
    F sum[kChains][R][C];
    repeat<kChains * R * C>([&](auto i) __attribute__((always_inline)) {
        sum[i.value / (R * C)][i.value / C % R][i.value % C] = zero();
    });
    const auto add = [&](uint64_t i, F(&to)[R][C]) __attribute__((always_inline)) {
        F lanes[R];
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            lanes[r.value] =
                T::template load<r.value % kParts>(w[r.value / kParts] + 2 * kPackedRows * i);
        });
        repeat<C>([&](auto c) __attribute__((always_inline)) {
            const F value = set1(x[c.value][i]);
            repeat<R>([&](auto r) __attribute__((always_inline)) {
                to[r.value][c.value] = fma(lanes[r.value], value, to[r.value][c.value]);
            });
        });
    };
    uint64_t i = 0;
    for (; i + 4 <= a.k; i += 4) {
        if constexpr (GROUPS == 1) {
            __builtin_prefetch(w[0] + kAhead + 2 * kPackedRows * i);
            __builtin_prefetch(w[0] + kAhead + 2 * kPackedRows * i + 64);
        }
        repeat<4>([&](auto j)
                      __attribute__((always_inline)) { add(i + j.value, sum[j.value % kChains]); });
    }
    for (; i < a.k; ++i)
        add(i, sum[0]);
    repeat<R * C>([&](auto n) __attribute__((always_inline)) {
        constexpr int r = n.value / C, c = n.value % C;
        acc[r][c] = sum[0][r][c];
        repeat<kChains - 1>([&](auto j) __attribute__((always_inline)) {
            acc[r][c] = acc[r][c] + sum[j.value + 1][r][c];
        });
    });
}

} // namespace realizar::cpu::RZ_CPU_ISA
