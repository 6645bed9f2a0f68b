// Packed weights times few tokens: one pass over the weights, with the tile_sums of a family of types
// and its tiles of 1 or kFamilyGroups groups and kFamilyTokens<T, groups> tokens.
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

// At most kFamilyTokens<T, GROUPS> tokens.
template <class T, int GROUPS, int C = kFamilyTokens<T, GROUPS>>
static inline void packed_tokens(const PackedArgs &a, uint64_t group, uint64_t token,
                                 uint64_t count) {
    if constexpr (C > 1)
        if (count < C) return packed_tokens<T, GROUPS, C - 1>(a, group, token, count);
    packed_tile<T, GROUPS, C>(a, group, token);
}

// Weights that will be wanted soon: `share` bytes of them are fetched between two tiles.
struct Coming {
    const uint8_t *at, *end;
    uint64_t share;

    RZ_INLINE void fetch() {
        const uint64_t left = static_cast<uint64_t>(end - at);
        const uint8_t *const stop = at + (share < left ? share : left);
        for (; at < stop; at += 64)
            __builtin_prefetch(at, 0, 2);
    }
};

// Tiles of tokens, of nearly the same size.
template <class T, int G>
static inline uint64_t token_tiles(const PackedArgs &a) {
    return (a.tokens + kFamilyTokens<T, G> - 1) / kFamilyTokens<T, G>;
}

// All tokens with the groups [begin, end). `coming` is fetched meanwhile.
template <class T, int G>
static inline void packed_panel(const PackedArgs &a, uint64_t begin, uint64_t end, Coming coming) {
    const uint64_t tiles = token_tiles<T, G>(a);
    for (uint64_t i = 0, t = 0; i < tiles; ++i) {
        const uint64_t rest = tiles - i;
        const uint64_t count = rest == 1 ? a.tokens - t : (a.tokens - t + rest - 1) / rest;
        uint64_t g = begin;
        for (; g + G <= end; g += G) {
            coming.fetch();
            packed_tokens<T, G>(a, g, t, count);
        }
        if constexpr (G > 1)
            for (; g < end; ++g)
                packed_tokens<T, 1>(a, g, t, count);
        t += count;
    }
}

// Few tokens: a group of rows is read once, and is in the first caches for all further tiles of tokens.
template <class T>
static inline void packed_few(const PackedArgs &a) {
    const uint64_t groups = (a.rows + kPackedRows - 1) / kPackedRows;
    for (uint64_t g = 0; g < groups; ++g)
        packed_panel<T, 1>(a, g, g + 1, {a.w, a.w, 0});
}

// Many: weights of a panel stay in the second-level cache while all tokens pass.
constexpr uint64_t kPanelBytes = 192 << 10;

template <class T>
static inline void packed_many(const PackedArgs &a) {
    const uint64_t groups = (a.rows + kPackedRows - 1) / kPackedRows;
    const uint64_t group_bytes = packed_group_bytes<typename T::Format>(a.k);
    constexpr int G = kFamilyGroups;
    const uint64_t fit = kPanelBytes / group_bytes / G * G, panel = fit < G ? G : fit;
    for (uint64_t begin = 0, end; begin < groups; begin = end) {
        end = begin + panel < groups ? begin + panel : groups;
        const uint64_t next = end + panel < groups ? end + panel : groups;
        const uint64_t fetches = token_tiles<T, G>(a) * ((end - begin) / G) + 1;
        packed_panel<T, G>(a, begin, end,
                           {a.w + end * group_bytes, a.w + next * group_bytes,
                            (next - end) * group_bytes / fetches + 64});
    }
}

template <class T, WeightType TYPE>
static void packed_plain(const PackedArgs &a) {
    count_call();
    if (a.tokens <= few_tokens[TYPE])
        packed_few<T>(a);
    else
        packed_many<T>(a);
}

} // namespace realizar::cpu::RZ_CPU_ISA
