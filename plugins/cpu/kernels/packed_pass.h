// Packed weights times few tokens: one pass over the weights, with the tile_sums of a family of types
// and its tiles of kFamilyGroups groups and kFamilyTokens tokens.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

template <class T, int GROUPS, int C>
static void packed_tile(const PackedArgs &a, uint64_t group, uint64_t token) {
    constexpr int R = GROUPS * kParts;
    F acc[R][C];
    repeat<R * C>([&](auto i)
                      __attribute__((always_inline)) { acc[i.value / C][i.value % C] = zero(); });
    tile_sums<T, GROUPS, C>(a, group, token, acc);
    repeat<R * C>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = i.value / C, c = i.value % C;
        const uint64_t row = group * kPackedRows + r * kLanes;
        if (row >= a.rows) return;
        store_some(packed_y(a, token + c) + row, acc[r][c],
                   a.rows - row < kLanes ? a.rows - row : kLanes);
    });
}

// At most kFamilyTokens tokens.
template <class T, int GROUPS, int C = kFamilyTokens>
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
    constexpr uint64_t G = kFamilyGroups, C = kFamilyTokens;
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

template <class T>
static void packed_plain(const PackedArgs &a) {
    count_call();
    packed_pass<T>(a);
}

} // namespace realizar::cpu::RZ_CPU_ISA
