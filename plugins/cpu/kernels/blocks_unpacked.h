// More quantised weight types, in the terms of blocks.h: only how a block is unpacked is written for
// each; the dot product is formed from that.
#pragma once

#include "plugins/cpu/kernels/levels.h"

namespace realizar::cpu::RZ_CPU_ISA {

template <class T>
struct UnpackedSum {
    F8 acc = f8_set1(0.0f);
    float rest = 0.0f; // what offsets and minima take away

    inline void add(const uint8_t *w, const Q8Row &x, uint64_t block) {
        constexpr uint64_t groups = T::kElements / 32, per_group = 32 / T::kGroup;
        B32 bytes[groups];
        float scales[groups * per_group], mins[groups];
        T::unpack(w, bytes, scales, mins);
        for (uint64_t g = 0; g < groups; ++g) {
            const uint64_t at = block * groups + g;
            const B32 q = b32_load(x.q + 32 * at);
            const F8 s = f8_from(T::kWide ? b32_dot_signed(bytes[g], q) : b32_dot(bytes[g], q));
            if constexpr (per_group == 1) {
                acc = f8_fma(s, f8_set1(scales[g] * x.d[at]), acc);
                if (T::kOffset) rest += T::kOffset * scales[g] * x.ds[at];
            } else {
                const float a = scales[2 * g] * x.d[at], b = scales[2 * g + 1] * x.d[at];
                const float halves[8] = {a, a, a, a, b, b, b, b};
                acc = f8_fma(s, f8_load(halves), acc);
                if (T::kOffset)
                    rest += T::kOffset * (a * static_cast<float>(x.sums[2 * at]) +
                                          b * static_cast<float>(x.sums[2 * at + 1]));
            }
            if (T::kMins) rest += mins[g] * x.ds[at];
        }
    }
    inline float total() const { return f8_reduce_add(acc) - rest; }
};

// Sets bit 4 of byte i where bit i of the word at `fifth` is set.
static inline B32 add_fifth_bits(B32 nibbles, const uint8_t *fifth) {
    uint8_t bytes[32];
    b32_store(bytes, nibbles);
    uint32_t bits;
    memcpy(&bits, fifth, 4);
    for (unsigned i = 0; i < 32; ++i)
        bytes[i] = static_cast<uint8_t>(bytes[i] | (bits >> i & 1u) << 4);
    return b32_load(bytes);
}

// f16 d | f16 m | nibbles as in Q4_0; value = d * nibble + m
struct Q4_1 {
    static constexpr int kElements = 32, kBytes = 20, kGroup = 32, kOffset = 0;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = false, kMins = true;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *mins) {
        bytes[0] = b32_nibbles(w + 4);
        scales[0] = half_at(w);
        mins[0] = -half_at(w + 2);
    }
    using Sum = UnpackedSum<Q4_1>;
};

// f16 d | 32 fifth bits | nibbles; offset 16
struct Q5_0 {
    static constexpr int kElements = 32, kBytes = 22, kGroup = 32, kOffset = 16;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = false, kMins = false;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        bytes[0] = add_fifth_bits(b32_nibbles(w + 6), w + 2);
        scales[0] = half_at(w);
    }
    using Sum = UnpackedSum<Q5_0>;
};

// f16 d | f16 m | 32 fifth bits | nibbles; value = d * level + m
struct Q5_1 {
    static constexpr int kElements = 32, kBytes = 24, kGroup = 32, kOffset = 0;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = false, kMins = true;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *mins) {
        bytes[0] = add_fifth_bits(b32_nibbles(w + 8), w + 4);
        scales[0] = half_at(w);
        mins[0] = -half_at(w + 2);
    }
    using Sum = UnpackedSum<Q5_1>;
};

// As Q4_K, with 32 bytes between scales and nibbles: bit j of byte i is the fifth bit of element i of
// group j.
struct Q5_K {
    static constexpr int kElements = 256, kBytes = 176, kGroup = 32, kOffset = 0;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = false, kMins = true;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *mins) {
        uint8_t packed[16], raw[32];
        Q4_K::unpack_scales(w, packed);
        f8_store(scales, f8_mul(f8_from_u8(packed), f8_set1(half_at(w))));
        f8_store(mins, f8_mul(f8_from_u8(packed + 8), f8_set1(half_at(w + 2))));
        const uint8_t *fifth = w + 16, *nibbles = w + 48;
        for (unsigned j = 0; j < 8; ++j) {
            for (unsigned i = 0; i < 32; ++i)
                raw[i] = static_cast<uint8_t>((nibbles[j / 2 * 32 + i] >> (j % 2 * 4) & 15u) |
                                              (fifth[i] >> j & 1u) << 4);
            bytes[j] = b32_load(raw);
        }
    }
    using Sum = UnpackedSum<Q5_K>;
};

// 32 bytes of third bits | 64 bytes of pairs | 12 bytes with 16 scales of 6 bits | f16 d; offset 4.
// Element i of group j of 32 takes bits 2 (j % 4) of byte 32 (j / 4) + i, and bit j of byte i of the
// third bits. Each scale, less 32, is for 16 elements.
struct Q3_K {
    static constexpr int kElements = 256, kBytes = 110, kGroup = 16, kOffset = 4;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = false, kMins = false;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        const uint8_t *third = w, *pairs = w + 32, *packed = w + 96;
        const float d = half_at(w + 108);
        for (int j = 0; j < 16; ++j) {
            const int low = packed[j % 8] >> (j / 8 * 4) & 15;
            const int high = packed[8 + j % 4] >> (j / 4 * 2) & 3;
            scales[j] = d * static_cast<float>((low | high << 4) - 32);
        }
        uint8_t raw[32];
        for (unsigned j = 0; j < 8; ++j) {
            for (unsigned i = 0; i < 32; ++i)
                raw[i] = static_cast<uint8_t>((pairs[j / 4 * 32 + i] >> (j % 4 * 2) & 3u) |
                                              (third[i] >> j & 1u) << 2);
            bytes[j] = b32_load(raw);
        }
    }
    using Sum = UnpackedSum<Q3_K>;
};

// Replaces nibbles by signed levels.
static inline B32 look_up(B32 nibbles, const int8_t *levels) {
    uint8_t bytes[32];
    b32_store(bytes, nibbles);
    for (uint8_t &byte : bytes)
        byte = static_cast<uint8_t>(levels[byte]);
    return b32_load(bytes);
}

// f16 d | nibbles that choose levels
struct IQ4_NL {
    static constexpr int kElements = 32, kBytes = 18, kGroup = 32, kOffset = 0;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = true, kMins = false;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        bytes[0] = look_up(b32_nibbles(w + 2), kLevelsIQ4);
        scales[0] = half_at(w);
    }
    using Sum = UnpackedSum<IQ4_NL>;
};

// f16 d | 8 upper pairs of scales | 8 lower nibbles | 8 x 16 bytes as in IQ4_NL; scales less 32
struct IQ4_XS {
    static constexpr int kElements = 256, kBytes = 136, kGroup = 32, kOffset = 0;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = true, kMins = false;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        const float d = half_at(w);
        for (int j = 0; j < 8; ++j) {
            const int low = w[4 + j / 2] >> (j % 2 * 4) & 15,
                      high = w[2 + j / 4] >> (j % 4 * 2) & 3;
            scales[j] = d * static_cast<float>((low | high << 4) - 32);
            bytes[j] = look_up(b32_nibbles(w + 8 + 16 * j), kLevelsIQ4);
        }
    }
    using Sum = UnpackedSum<IQ4_XS>;
};

// 8 bits of exponent | nibbles; twice the levels, so half the scale: 2^(exponent - 128), 255 is NaN.
struct MXFP4 {
    static constexpr int kElements = 32, kBytes = 17, kGroup = 32, kOffset = 0;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = true, kMins = false;
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        bytes[0] = look_up(b32_nibbles(w + 1), kLevelsE2M1);
        // 2^-128 and 2^-127 are subnormal.
        const uint32_t e = w[0];
        const uint32_t bits = e == 255 ? 0x7fc00000u : e < 2 ? 0x00200000u << e : (e - 1) << 23;
        memcpy(scales, &bits, 4);
    }
    using Sum = UnpackedSum<MXFP4>;
};

} // namespace realizar::cpu::RZ_CPU_ISA
