// Prompts: many tokens times panels of packed weights with blocks of 256. A panel is some tiles of
// kTileGroups groups of rows, unpacked once to bytes, 32-bit scales and pairs of mins; it stays in the
// second-level cache while all tokens pass, so the inner loop has nothing but loads, broadcasts and dot
// products. One kernel serves all these types.
//
// Scales: with s_g the dot products of the block's groups and S_g = s_0 + ... + s_g,
//   sum of scale_g * s_g = sum of S_g * (scale_g - scale_(g+1)),  scale after the last: 0
// so that the accumulators S run on through the block instead of starting anew for each group. (Not
// where partial sums are narrow.) All of it is exact: the sum fits 32 bits, at most 256 * 255 * 127 * 32 with
// 6-bit signed scales and 256 * 63 * 127 * 128 with bytes, and what overflows on the way comes back.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

constexpr int kPanelVectors = kTileGroups * kParts;
constexpr uint64_t kPanelLine = 64 * kTileGroups; // bytes: 4 of each row
constexpr uint64_t kPanelTiles = 2;               // a token's activations serve so many in a row
constexpr uint64_t kPanelBlocks = 8;              // of 256 elements at a time

// One block of a tile, in bytes:
//   lines[64], each vectors of bytes; scales[kScales]; pairs[kPairs]; d; dmin: lines of 32-bit lanes
template <class T>
struct PanelBlock {
    static constexpr uint64_t kScales = 64 * kPanelLine;
    static constexpr uint64_t kPairs = kScales + T::kScales * kPanelLine;
    static constexpr uint64_t kD = kPairs + T::kPairs * kPanelLine;
    static constexpr uint64_t kDmin = kD + kPanelLine;
    static constexpr uint64_t kBytes = kDmin + kPanelLine;
};

// One group of rows, lanes PART, to `out`: the panel's block, moved to these lanes.
template <class T, int PART>
static RZ_INLINE void unpack_panel_block(const uint8_t *block, uint8_t *out) {
    using P = PanelBlock<T>;
    for (uint64_t four = 0; four < T::kScales; four += 4)
        repeat<4>([&](auto s) __attribute__((always_inline)) {
            const uint64_t at = four + s.value;
            repeat<T::kQuads / 2>([&](auto j) __attribute__((always_inline)) {
                I even, odd;
                T::template bytes<PART, s.value, j.value>(block, four, even, odd);
                uint8_t *line = out + (at * T::kQuads + 2 * j.value) * kPanelLine;
                istore(line, even);
                istore(line + kPanelLine, odd);
            });
            const I scale = T::template scale<PART, s.value>(block, four);
            uint8_t *scales = out + P::kScales + at * kPanelLine;
            istore(scales, kNarrow<T> ? scale_operand(scale) : scale);
            if (!kNarrow<T> && at > 0)
                istore(scales - kPanelLine, iload(scales - kPanelLine) - scale);
        });
    store(reinterpret_cast<float *>(out + P::kD), half_lanes<PART>(block + T::Format::kD));
    if constexpr (T::kPairs > 0) {
        repeat<T::kPairs>([&](auto p) __attribute__((always_inline)) {
            istore(out + P::kPairs + p.value * kPanelLine, T::template pairs<PART, p.value>(block));
        });
        store(reinterpret_cast<float *>(out + P::kDmin), T::template dmin<PART>(block));
    }
}

template <class T>
constexpr uint64_t kPanelTileBytes = kPanelBlocks *PanelBlock<T>::kBytes;

// Blocks [begin, end) of a tile's rows. Groups behind the last one repeat it.
template <class T>
static inline void unpack_tile(const PackedArgs &a, uint64_t group, uint64_t groups, uint64_t begin,
                               uint64_t end, uint8_t *tile) {
    const uint64_t group_bytes = packed_group_bytes<typename T::Format>(a.k);
    for (uint64_t g = 0; g < kTileGroups; ++g) {
        const uint64_t from = group + g < groups ? group + g : groups - 1;
        const uint8_t *block = a.w + from * group_bytes + begin * T::Format::kBytes;
        uint8_t *out = tile + 64 * g;
        for (uint64_t b = begin; b < end; ++b) {
            for (uint64_t line = 0; line < T::Format::kBytes; line += 64)
                __builtin_prefetch(block + kAhead + line);
            repeat<kParts>([&](auto part) __attribute__((always_inline)) {
                unpack_panel_block<T, part.value>(block, out + part.value * kLanes * 4);
            });
            block += T::Format::kBytes;
            out += PanelBlock<T>::kBytes;
        }
    }
}

static RZ_INLINE I panel_load(const uint8_t *line, int vector) {
    return iload(line + vector * kLanes * 4);
}

// One scale: kQuads lines from `line` on, added to the sums; then the scaled sums to `total`.
template <class T, int C>
static RZ_INLINE void panel_scale(const uint8_t *line, const uint8_t *scales,
                                  const int8_t *const *q, uint64_t at, I (&sum)[kPanelVectors][C],
                                  I (&total)[kPanelVectors][C]) {
    constexpr int R = kPanelVectors;
    constexpr int kRun = kFitting<T, T::kQuads>;
    repeat<T::kQuads / kRun>([&](auto run) __attribute__((always_inline)) {
        repeat<kRun>([&](auto step) __attribute__((always_inline)) {
            constexpr int quad = run.value * kRun + step.value;
            I w[R];
            repeat<R>([&](auto r) __attribute__((always_inline)) {
                w[r.value] = panel_load(line + quad * kPanelLine, r.value);
            });
            repeat<C>([&](auto c) __attribute__((always_inline)) {
                const I x = broadcast4(q[c.value] + at + 4 * quad);
                repeat<R>([&](auto r) __attribute__((always_inline)) {
                    I &s = sum[r.value][c.value];
                    if constexpr (kNarrow<T> && step.value == 0) s = iset1(0);
                    s = sum_of<T>(s, w[r.value], x);
                });
            });
        });
        repeat<R * C>([&](auto i) __attribute__((always_inline)) {
            constexpr int r = i.value / C, c = i.value % C;
            const I scale = panel_load(scales, r);
            if constexpr (kNarrow<T>)
                total[r][c] = add_scaled(total[r][c], sum[r][c], scale);
            else
                total[r][c] = total[r][c] + sum[r][c] * scale;
        });
    });
}

template <class T, int C>
static RZ_INLINE void panel_ends(const uint8_t *block, const int16_t *const *sums, const float *dx,
                                 const I (&total)[kPanelVectors][C], F (&acc)[kPanelVectors][C]) {
    using P = PanelBlock<T>;
    repeat<kPanelVectors>([&](auto r) __attribute__((always_inline)) {
        const F d = load(reinterpret_cast<const float *>(block + P::kD) + r.value * kLanes);
        repeat<C>([&](auto c) __attribute__((always_inline)) {
            F value = to_f(total[r.value][c.value]) * d;
            if constexpr (T::kPairs > 0) {
                I off = iset1(0);
                repeat<T::kPairs>([&](auto p) __attribute__((always_inline)) {
                    off = dot2(off, panel_load(block + P::kPairs + p.value * kPanelLine, r.value),
                               broadcast4(sums[c.value] + 2 * p.value));
                });
                const float *dmin = reinterpret_cast<const float *>(block + P::kDmin);
                value = fnma(to_f(off), load(dmin + r.value * kLanes), value);
            }
            acc[r.value][c.value] = fma(value, set1(dx[c.value]), acc[r.value][c.value]);
        });
    });
}

// A tile, with its first row, times C tokens from `token` on, over blocks [begin, end).
template <class T, int C>
static void panel_tile(const PackedArgs &a, const uint8_t *block, uint64_t row, uint64_t token,
                       uint64_t begin, uint64_t end) {
    using P = PanelBlock<T>;
    constexpr int R = kPanelVectors, kSums = T::kPairs == 4 ? 8 : 16;
    const int8_t *q[C];
    const int16_t *sums[C];
    const float *d[C];
    float *y[C];
    F acc[R][C];
    repeat<C>([&](auto c) __attribute__((always_inline)) {
        const Q8LongRow x = q8_long_row(packed_x(a, token + c.value), a.k);
        q[c.value] = x.q + 256 * begin;
        sums[c.value] = kSums == 8 ? x.sums + 8 * begin : x.sums16 + 16 * begin;
        d[c.value] = x.d + begin;
        y[c.value] = packed_y(a, token + c.value) + row;
        repeat<R>([&](auto r) __attribute__((always_inline)) { acc[r.value][c.value] = zero(); });
    });
    for (uint64_t b = begin; b < end; ++b, block += P::kBytes) {
        I total[R][C], sum[R][C];
        repeat<R * C>([&](auto i) __attribute__((always_inline)) {
            total[i.value / C][i.value % C] = sum[i.value / C][i.value % C] = iset1(0);
        });
        for (int s = 0; s < T::kScales; ++s)
            panel_scale<T, C>(block + static_cast<uint64_t>(s * T::kQuads) * kPanelLine,
                              block + P::kScales + static_cast<uint64_t>(s) * kPanelLine, q,
                              static_cast<uint64_t>(s * T::kQuads * 4), sum, total);
        float dx[C];
        const int16_t *block_sums[C];
        for (int c = 0; c < C; ++c) {
            dx[c] = d[c][b - begin];
            block_sums[c] = sums[c] + (b - begin) * kSums;
            q[c] += 256;
        }
        panel_ends<T, C>(block, block_sums, dx, total, acc);
    }
    repeat<R * C>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = i.value / C, c = i.value % C;
        if (row + r * kLanes >= a.rows) return;
        const uint64_t left = a.rows - row - r * kLanes, n = left < kLanes ? left : kLanes;
        float *out = y[c] + r * kLanes;
        store_some(out, begin == 0 ? acc[r][c] : acc[r][c] + load_some(out, n), n);
    });
}

// As many of `count` tokens as a tile of those that there is code for takes; returns how many.
template <class T, int C = kTileTokens>
static inline uint64_t panel_tokens(const PackedArgs &a, const uint8_t *tile, uint64_t row,
                                    uint64_t token, uint64_t count, uint64_t begin, uint64_t end) {
    if constexpr (C > 1)
        if (count < C)
            return panel_tokens<T, (C > 3 ? 3 : 1)>(a, tile, row, token, count, begin, end);
    panel_tile<T, C>(a, tile, row, token, begin, end);
    return C;
}

// Blocks [begin, end) of the tiles from `group` on.
template <class T>
static inline void panel_blocks(const PackedArgs &a, uint64_t group, uint64_t groups,
                                uint64_t begin, uint64_t end) {
    const uint64_t left = (groups - group + kTileGroups - 1) / kTileGroups;
    const uint64_t tiles = left < kPanelTiles ? left : kPanelTiles;
    for (uint64_t i = 0; i < tiles; ++i)
        unpack_tile<T>(a, group + i * kTileGroups, groups, begin, end,
                       a.scratch + i * kPanelTileBytes<T>);
    for (uint64_t t = 0, done = 0; t < a.tokens; t += done)
        for (uint64_t i = 0; i < tiles; ++i)
            done = panel_tokens<T>(a, a.scratch + i * kPanelTileBytes<T>,
                                   (group + i * kTileGroups) * kPackedRows, t, a.tokens - t, begin,
                                   end);
}

template <class T>
static inline void panels(const PackedArgs &a) {
    const uint64_t groups = (a.rows + kPackedRows - 1) / kPackedRows, blocks = a.k / 256;
    for (uint64_t g = 0; g < groups; g += kPanelTiles * kTileGroups)
        for (uint64_t begin = 0; begin < blocks; begin += kPanelBlocks)
            panel_blocks<T>(a, g, groups, begin,
                            begin + kPanelBlocks < blocks ? begin + kPanelBlocks : blocks);
}

template <class T, WeightType TYPE>
static void packed_long(const PackedArgs &a) {
    count_call();
    if (a.tokens <= few_tokens[TYPE])
        packed_few<T>(a);
    else
        panels<T>(a);
}

template <class T, WeightType TYPE>
static void add_long(Kernels &table) {
    table.packed[TYPE] = packed_long<T, TYPE>;
    constexpr uint64_t kScratch = kPanelTiles * kPanelTileBytes<T>;
    if (table.packed_scratch < kScratch) table.packed_scratch = kScratch;
}

} // namespace realizar::cpu::RZ_CPU_ISA
