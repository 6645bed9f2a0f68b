// Superblocks of 256 elements in 8 sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum:
// Q4_K.  x = (d * scale) q - (dmin * minimum)
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <array>

namespace realizar {
namespace {

constexpr uint64_t kSuper = 256, kSub = 32, kSubs = kSuper / kSub;
constexpr float kCodeMax = 63;

struct SubCodes {
    uint8_t scale, minimum; // 0 to 63
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

// Everything but the place of the level bits: scales found for one superblock.
struct Plan {
    uint16_t d = 0, dmin = 0;
    std::array<SubCodes, kSubs> codes{};

    Affine sub_block(uint64_t j) const {
        return {f16_to_f32(d) * codes[j].scale, -f16_to_f32(dmin) * codes[j].minimum};
    }
};

// The codes around the rounded ones with the least error: rounding scale and minimum apart is
// not the best pair.
SubCodes best_codes(std::span<const float> values, const float *weights, Affine ideal, float d,
                    float dmin, int high) {
    const float scale_code = clamp_level(ideal.scale * safe_inverse(d), 0, kCodeMax);
    const float minimum_code = clamp_level(-ideal.offset * safe_inverse(dmin), 0, kCodeMax);
    SubCodes best{static_cast<uint8_t>(scale_code), static_cast<uint8_t>(minimum_code)};
    float least = level_error(values, weights, {d * scale_code, -dmin * minimum_code}, 0, high);
    for (const float ds : {-1.0f, 0.0f, 1.0f})
        for (const float dm : {-1.0f, 0.0f, 1.0f}) {
            const float s = scale_code + ds, m = minimum_code + dm;
            if ((ds == 0 && dm == 0) || s < 0 || m < 0 || s > kCodeMax || m > kCodeMax) continue;
            const float error = level_error(values, weights, {d * s, -dmin * m}, 0, high);
            if (error < least) {
                least = error;
                best = {static_cast<uint8_t>(s), static_cast<uint8_t>(m)};
            }
        }
    return best;
}

Plan plan_superblock(const float *values, const float *importance, int high) {
    float weights[kSuper];
    error_weights({values, kSuper}, importance, weights);
    std::array<Affine, kSubs> ideal;
    float most_scale = 0, most_minimum = 0;
    for (uint64_t j = 0; j < kSubs; ++j) {
        ideal[j] =
            fit_affine({values + j * kSub, kSub}, weights + j * kSub, high, Offset::not_positive);
        most_scale = std::max(most_scale, ideal[j].scale);
        most_minimum = std::max(most_minimum, -ideal[j].offset);
    }
    Plan plan{f16_scale(most_scale / kCodeMax), f16_scale(most_minimum / kCodeMax), {}};
    const float d = f16_to_f32(plan.d), dmin = f16_to_f32(plan.dmin);
    for (uint64_t j = 0; j < kSubs; ++j)
        plan.codes[j] =
            best_codes({values + j * kSub, kSub}, weights + j * kSub, ideal[j], d, dmin, high);
    return plan;
}

// Levels of one superblock for the scales of a plan.
void assign_levels(const float *values, const Plan &plan, int high, uint8_t *levels) {
    for (uint64_t j = 0; j < kSubs; ++j) {
        const Affine fit = plan.sub_block(j);
        const float inverse = safe_inverse(fit.scale);
        for (uint64_t i = j * kSub; i < (j + 1) * kSub; ++i)
            levels[i] = static_cast<uint8_t>(
                clamp_level((values[i] - fit.offset) * inverse, 0, static_cast<float>(high)));
    }
}

// Byte i of the group g of 32 holds element i of sub-block 2g (low) and of 2g + 1 (high nibble).
struct Q4_K {
    static constexpr uint64_t kElements = kSuper;
    uint16_t d, dmin;
    uint8_t codes[12];
    uint8_t q[kSuper / 2];

    void decode(float *out) const {
        for (uint64_t j = 0; j < kSubs; ++j) {
            const SubCodes sub = unpack_codes(codes, j);
            const float scale = f16_to_f32(d) * sub.scale, minimum = f16_to_f32(dmin) * sub.minimum;
            for (uint64_t i = 0; i < kSub; ++i) {
                const int level = q[j / 2 * kSub + i] >> (j % 2 * 4) & 15;
                out[j * kSub + i] = scale * static_cast<float>(level) - minimum;
            }
        }
    }

    void encode(const float *values, const float *importance) {
        const Plan plan = plan_superblock(values, importance, 15);
        uint8_t levels[kSuper];
        assign_levels(values, plan, 15, levels);
        d = plan.d;
        dmin = plan.dmin;
        for (uint64_t j = 0; j < kSubs; ++j) {
            pack_codes(codes, j, plan.codes[j]);
            for (uint64_t i = 0; i < kSub; ++i)
                q[j / 2 * kSub + i] =
                    static_cast<uint8_t>(q[j / 2 * kSub + i] | levels[j * kSub + i] << (j % 2 * 4));
        }
    }
};

} // namespace

constexpr Codec kQ4_KCodec = block_codec<DType::Q4_K, Q4_K>();

} // namespace realizar
