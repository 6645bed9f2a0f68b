// Superblocks of 256 elements in sub-blocks that each have a scale and a minimum:
//   x = (d * scale) q - (dmin * minimum)
// Q4_K and Q5_K: 8 sub-blocks of 32 with 6-bit codes. Q2_K: 16 sub-blocks of 16 with 4-bit codes.
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <array>

namespace realizar {
namespace {

constexpr uint64_t kSuper = 256;

struct SubCodes {
    uint8_t scale, minimum; // 0 to the grid's code_max
};

// What distinguishes the types for the search.
struct Grid {
    int high;       // levels are 0 to high
    float code_max; // codes are 0 to code_max
};

// Twelve bytes hold 8 scales and 8 minima of 6 bits. Sub-blocks 0 to 3 have theirs in the low six
// bits of bytes j and j + 4; sub-blocks 4 to 7 have the low nibbles in byte j + 4 and the upper two
// bits in the top of bytes j - 4 and j.
SubCodes unpack_codes(const uint8_t *packed, uint64_t j) {
    if (j < 4)
        return {static_cast<uint8_t>(packed[j] & 63), static_cast<uint8_t>(packed[j + 4] & 63)};
    return {static_cast<uint8_t>((packed[j + 4] & 15) | packed[j - 4] >> 6 << 4),
            static_cast<uint8_t>(packed[j + 4] >> 4 | packed[j] >> 6 << 4)};
}

// `packed` starts as zeros.
void pack_codes(uint8_t *packed, uint64_t j, SubCodes codes) {
    if (j < 4) {
        packed[j] = static_cast<uint8_t>(packed[j] | codes.scale);
        packed[j + 4] = static_cast<uint8_t>(packed[j + 4] | codes.minimum);
        return;
    }
    packed[j + 4] = static_cast<uint8_t>((codes.scale & 15) | (codes.minimum & 15) << 4);
    packed[j - 4] = static_cast<uint8_t>(packed[j - 4] | codes.scale >> 4 << 6);
    packed[j] = static_cast<uint8_t>(packed[j] | codes.minimum >> 4 << 6);
}

// Everything but the place of the bits: scales found for one superblock.
template <uint64_t kSubs>
struct Plan {
    static constexpr uint64_t kSub = kSuper / kSubs;
    uint16_t d = 0, dmin = 0;
    std::array<SubCodes, kSubs> codes{};

    Affine sub_block(uint64_t j) const {
        return {f16_to_f32(d) * codes[j].scale, -f16_to_f32(dmin) * codes[j].minimum};
    }
};

// The codes around the rounded ones with the least error: rounding scale and minimum apart is
// not the best pair.
SubCodes best_codes(std::span<const float> values, const float *weights, Affine ideal, float d,
                    float dmin, Grid grid) {
    const float scale_code = clamp_level(ideal.scale * safe_inverse(d), 0, grid.code_max);
    const float minimum_code = clamp_level(-ideal.offset * safe_inverse(dmin), 0, grid.code_max);
    const auto error_of = [&](float s, float m) {
        return level_error(values, weights, {d * s, -dmin * m}, 0, grid.high);
    };
    SubCodes best{static_cast<uint8_t>(scale_code), static_cast<uint8_t>(minimum_code)};
    float least = error_of(scale_code, minimum_code);
    for (const float s : {scale_code - 1, scale_code, scale_code + 1})
        for (const float m : {minimum_code - 1, minimum_code, minimum_code + 1}) {
            if (s < 0 || m < 0 || s > grid.code_max || m > grid.code_max) continue;
            const float error = error_of(s, m);
            if (error < least) {
                least = error;
                best = {static_cast<uint8_t>(s), static_cast<uint8_t>(m)};
            }
        }
    return best;
}

// `levels` gets kSuper levels for the scales of the plan.
template <uint64_t kSubs>
Plan<kSubs> plan_superblock(const float *values, const float *importance, Grid grid,
                            uint8_t *levels) {
    constexpr uint64_t kSub = kSuper / kSubs;
    float weights[kSuper];
    error_weights({values, kSuper}, importance, weights);
    std::array<Affine, kSubs> ideal;
    float most_scale = 0, most_minimum = 0;
    for (uint64_t j = 0; j < kSubs; ++j) {
        ideal[j] = fit_affine({values + j * kSub, kSub}, weights + j * kSub, grid.high,
                              Offset::not_positive);
        most_scale = std::max(most_scale, ideal[j].scale);
        most_minimum = std::max(most_minimum, -ideal[j].offset);
    }
    Plan<kSubs> plan{
        f16_scale(most_scale / grid.code_max), f16_scale(most_minimum / grid.code_max), {}};
    for (uint64_t j = 0; j < kSubs; ++j) {
        plan.codes[j] = best_codes({values + j * kSub, kSub}, weights + j * kSub, ideal[j],
                                   f16_to_f32(plan.d), f16_to_f32(plan.dmin), grid);
        const Affine fit = plan.sub_block(j);
        const float inverse = safe_inverse(fit.scale), high = static_cast<float>(grid.high);
        for (uint64_t i = j * kSub; i < (j + 1) * kSub; ++i)
            levels[i] =
                static_cast<uint8_t>(clamp_level((values[i] - fit.offset) * inverse, 0, high));
    }
    return plan;
}

// The nibbles of Q4_K and Q5_K: byte i of the group g of 32 holds element i of sub-block 2 g (low)
// and of 2 g + 1 (high).
unsigned nibble(const uint8_t *nibbles, uint64_t j, uint64_t i) {
    return nibbles[j / 2 * 32 + i] >> (j % 2 * 4) & 15u;
}
void put_nibble(uint8_t *nibbles, uint64_t j, uint64_t i, unsigned level) {
    uint8_t &byte = nibbles[j / 2 * 32 + i];
    byte = static_cast<uint8_t>(byte | (level & 15) << (j % 2 * 4));
}

struct Q4_K {
    static constexpr uint64_t kElements = kSuper, kSubs = 8, kSub = 32;
    uint16_t d, dmin;
    uint8_t codes[12];
    uint8_t nibbles[128];

    void decode(float *out) const {
        for (uint64_t j = 0; j < kSubs; ++j) {
            const SubCodes sub = unpack_codes(codes, j);
            const float scale = f16_to_f32(d) * sub.scale, minimum = f16_to_f32(dmin) * sub.minimum;
            for (uint64_t i = 0; i < kSub; ++i)
                out[j * kSub + i] = scale * static_cast<float>(nibble(nibbles, j, i)) - minimum;
        }
    }

    void encode(const float *values, const float *importance) {
        uint8_t levels[kSuper];
        const auto plan = plan_superblock<kSubs>(values, importance, {15, 63}, levels);
        d = plan.d;
        dmin = plan.dmin;
        for (uint64_t j = 0; j < kSubs; ++j) {
            pack_codes(codes, j, plan.codes[j]);
            for (uint64_t i = 0; i < kSub; ++i)
                put_nibble(nibbles, j, i, levels[j * kSub + i]);
        }
    }
};

// The fifth bit of element i of sub-block j is bit j of byte i of `fifth`.
struct Q5_K {
    static constexpr uint64_t kElements = kSuper, kSubs = 8, kSub = 32;
    uint16_t d, dmin;
    uint8_t codes[12];
    uint8_t fifth[32];
    uint8_t nibbles[128];

    void decode(float *out) const {
        for (uint64_t j = 0; j < kSubs; ++j) {
            const SubCodes sub = unpack_codes(codes, j);
            const float scale = f16_to_f32(d) * sub.scale, minimum = f16_to_f32(dmin) * sub.minimum;
            for (uint64_t i = 0; i < kSub; ++i) {
                const unsigned level = nibble(nibbles, j, i) | (fifth[i] >> j & 1u) << 4;
                out[j * kSub + i] = scale * static_cast<float>(level) - minimum;
            }
        }
    }

    void encode(const float *values, const float *importance) {
        uint8_t levels[kSuper];
        const auto plan = plan_superblock<kSubs>(values, importance, {31, 63}, levels);
        d = plan.d;
        dmin = plan.dmin;
        for (uint64_t j = 0; j < kSubs; ++j) {
            pack_codes(codes, j, plan.codes[j]);
            for (uint64_t i = 0; i < kSub; ++i) {
                put_nibble(nibbles, j, i, levels[j * kSub + i]);
                fifth[i] = static_cast<uint8_t>(fifth[i] | levels[j * kSub + i] >> 4 << j);
            }
        }
    }
};

// codes[j]: scale of sub-block j low, minimum high nibble. Element e = 128 h + 32 r + i (r = 0 to 3)
// has its level in byte 32 h + i at bit 2 r.
struct Q2_K {
    static constexpr uint64_t kElements = kSuper, kSubs = 16, kSub = 16;
    uint8_t codes[kSubs];
    uint8_t pairs[64];
    uint16_t d, dmin;

    void decode(float *out) const {
        for (uint64_t j = 0; j < kSubs; ++j) {
            const uint64_t half = j / 8, r = j % 8 / 2, first = j % 2 * kSub;
            const float scale = f16_to_f32(d) * static_cast<float>(codes[j] & 15);
            const float minimum = f16_to_f32(dmin) * static_cast<float>(codes[j] >> 4);
            for (uint64_t i = first; i < first + kSub; ++i) {
                const int level = pairs[half * 32 + i] >> (2 * r) & 3;
                *out++ = scale * static_cast<float>(level) - minimum;
            }
        }
    }

    void encode(const float *values, const float *importance) {
        uint8_t levels[kSuper];
        const auto plan = plan_superblock<kSubs>(values, importance, {3, 15}, levels);
        d = plan.d;
        dmin = plan.dmin;
        for (uint64_t j = 0; j < kSubs; ++j)
            codes[j] = static_cast<uint8_t>(plan.codes[j].scale | plan.codes[j].minimum << 4);
        for (uint64_t e = 0; e < kSuper; ++e) {
            uint8_t &byte = pairs[e / 128 * 32 + e % 32];
            byte = static_cast<uint8_t>(byte | levels[e] << (e % 128 / 32 * 2));
        }
    }
};

} // namespace

constexpr Codec kQ4_KCodec = block_codec<DType::Q4_K, Q4_K>();
constexpr Codec kQ5_KCodec = block_codec<DType::Q5_K, Q5_K>();
constexpr Codec kQ2_KCodec = block_codec<DType::Q2_K, Q2_K>();

} // namespace realizar
