// Superblocks of 256 elements without minimum. Q6_K and Q3_K: 16 sub-blocks of 16, each with a signed
// scale, x = (d * scale) q. Q8_K: one scale, x = d q.
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <array>
#include <cmath>

namespace realizar {
namespace {

constexpr uint64_t kSuper = 256, kSub = 16, kSubs = kSuper / kSub;

// The scales of one superblock, as integers of [-code_max, code_max] times d.
struct Plan {
    uint16_t d = 0;
    std::array<int, kSubs> codes{};
};

int best_code(std::span<const float> values, const float *weights, float ideal, float d, int low,
              int high, int code_max) {
    const auto limit = static_cast<float>(code_max);
    const float middle = clamp_level(ideal * safe_inverse(d), -limit, limit);
    float best = middle, least = level_error(values, weights, {d * middle, 0}, low, high);
    for (const float code : {middle - 1, middle + 1}) {
        if (std::fabs(code) > limit) continue;
        const float error = level_error(values, weights, {d * code, 0}, low, high);
        if (error < least) {
            least = error;
            best = code;
        }
    }
    return static_cast<int>(best);
}

Plan plan_superblock(const float *values, const float *importance, int low, int high,
                     int code_max) {
    float weights[kSuper];
    error_weights({values, kSuper}, importance, weights);
    std::array<float, kSubs> ideal;
    float most = 0;
    for (uint64_t j = 0; j < kSubs; ++j) {
        ideal[j] = fit_scale({values + j * kSub, kSub}, weights + j * kSub, low, high);
        most = std::max(most, std::fabs(ideal[j]));
    }
    Plan plan{f16_scale(most / static_cast<float>(code_max)), {}};
    for (uint64_t j = 0; j < kSubs; ++j)
        plan.codes[j] = best_code({values + j * kSub, kSub}, weights + j * kSub, ideal[j],
                                  f16_to_f32(plan.d), low, high, code_max);
    return plan;
}

// Levels from 0 (for `low`) upwards.
void assign_levels(const float *values, const Plan &plan, int low, int high, uint8_t *levels) {
    const auto low_level = static_cast<float>(low), high_level = static_cast<float>(high);
    for (uint64_t j = 0; j < kSubs; ++j) {
        const float inverse = safe_inverse(f16_to_f32(plan.d) * static_cast<float>(plan.codes[j]));
        for (uint64_t i = j * kSub; i < (j + 1) * kSub; ++i)
            levels[i] = static_cast<uint8_t>(
                clamp_level(values[i] * inverse, low_level, high_level) - low_level);
    }
}

// Each half of 128 elements has 64 bytes of low nibbles and 32 bytes of upper bit pairs. Element
// e = 32 r + i of a half (r = 0 to 3) has its nibble in byte 32 (r % 2) + i, high nibble for
// r >= 2, and its bit pair in byte i at bit 2 r.
struct Q6_K {
    static constexpr uint64_t kElements = kSuper;
    static constexpr int kLow = -32, kHigh = 31, kCodeMax = 127;
    uint8_t nibbles[128];
    uint8_t pairs[64];
    int8_t scales[kSubs];
    uint16_t d;

    void decode(float *out) const {
        for (uint64_t j = 0; j < kSubs; ++j) {
            const uint64_t half = j / 8, r = j % 8 / 2, first = j % 2 * kSub;
            const float scale = f16_to_f32(d) * static_cast<float>(scales[j]);
            for (uint64_t i = first; i < first + kSub; ++i) {
                const int nibble = nibbles[half * 64 + r % 2 * 32 + i] >> (r / 2 * 4) & 15;
                const int pair = pairs[half * 32 + i] >> (2 * r) & 3;
                *out++ = scale * static_cast<float>((nibble | pair << 4) + kLow);
            }
        }
    }

    void encode(const float *values, const float *importance) {
        const Plan plan = plan_superblock(values, importance, kLow, kHigh, kCodeMax);
        uint8_t levels[kSuper];
        assign_levels(values, plan, kLow, kHigh, levels);
        d = plan.d;
        for (uint64_t j = 0; j < kSubs; ++j)
            scales[j] = static_cast<int8_t>(plan.codes[j]);
        for (uint64_t e = 0; e < kSuper; ++e) {
            const uint64_t half = e / 128, r = e % 128 / 32, i = e % 32;
            uint8_t &nibble = nibbles[half * 64 + r % 2 * 32 + i], &pair = pairs[half * 32 + i];
            nibble = static_cast<uint8_t>(nibble | (levels[e] & 15) << (r / 2 * 4));
            pair = static_cast<uint8_t>(pair | levels[e] >> 4 << (2 * r));
        }
    }
};

// 6-bit codes (scale + 32) in 12 bytes: the low nibbles of codes 0 to 7 and 8 to 15 in the low and
// high nibbles of bytes 0 to 7; the upper pair of code j in byte 8 + j % 4 at bit 2 (j / 4).
// Element e = 128 h + 32 r + i (r = 0 to 3) has two level bits in byte 32 h + i of `pairs` at bit 2 r,
// and the third in byte i of `thirds` at bit 4 h + r. Levels are q + 4.
struct Q3_K {
    static constexpr uint64_t kElements = kSuper;
    static constexpr int kLow = -4, kHigh = 3, kCodeMax = 31, kCodeZero = 32;
    uint8_t thirds[32];
    uint8_t pairs[64];
    uint8_t codes[12];
    uint16_t d;

    int scale(uint64_t j) const {
        const int low = codes[j % 8] >> (j / 8 * 4) & 15,
                  high = codes[8 + j % 4] >> (j / 4 * 2) & 3;
        return (low | high << 4) - kCodeZero;
    }

    void decode(float *out) const {
        for (uint64_t j = 0; j < kSubs; ++j) {
            const uint64_t half = j / 8, r = j % 8 / 2, first = j % 2 * kSub;
            const float sub = f16_to_f32(d) * static_cast<float>(scale(j));
            for (uint64_t i = first; i < first + kSub; ++i) {
                const int pair = pairs[half * 32 + i] >> (2 * r) & 3;
                const int third = thirds[i] >> (4 * half + r) & 1;
                *out++ = sub * static_cast<float>((pair | third << 2) + kLow);
            }
        }
    }

    void encode(const float *values, const float *importance) {
        const Plan plan = plan_superblock(values, importance, kLow, kHigh, kCodeMax);
        uint8_t levels[kSuper];
        assign_levels(values, plan, kLow, kHigh, levels);
        d = plan.d;
        for (uint64_t j = 0; j < kSubs; ++j) {
            const int code = plan.codes[j] + kCodeZero;
            codes[j % 8] = static_cast<uint8_t>(codes[j % 8] | (code & 15) << (j / 8 * 4));
            codes[8 + j % 4] = static_cast<uint8_t>(codes[8 + j % 4] | code >> 4 << (j / 4 * 2));
        }
        for (uint64_t e = 0; e < kSuper; ++e) {
            const uint64_t half = e / 128, r = e % 128 / 32, i = e % 32;
            pairs[half * 32 + i] =
                static_cast<uint8_t>(pairs[half * 32 + i] | (levels[e] & 3) << (2 * r));
            thirds[i] = static_cast<uint8_t>(thirds[i] | levels[e] >> 2 << (4 * half + r));
        }
    }
};

// Made for activations: a float32 scale, and the sum of each 16 levels for the minima of the other
// operand.
struct Q8_K {
    static constexpr uint64_t kElements = kSuper;
    float d;
    int8_t q[kSuper];
    int16_t sums[kSubs];

    void decode(float *out) const {
        for (uint64_t i = 0; i < kSuper; ++i)
            out[i] = d * q[i];
    }

    void encode(const float *values, const float *) {
        float peak = 0;
        for (uint64_t i = 0; i < kSuper; ++i)
            peak = std::max(peak, std::fabs(values[i]));
        d = std::isfinite(peak) ? peak / 127 : 0;
        const float inverse = safe_inverse(d);
        for (uint64_t i = 0; i < kSuper; ++i) {
            q[i] = static_cast<int8_t>(clamp_level(values[i] * inverse, -127, 127));
            sums[i / kSub] = static_cast<int16_t>(sums[i / kSub] + q[i]);
        }
    }
};

} // namespace

constexpr Codec kQ6_KCodec = block_codec<DType::Q6_K, Q6_K>();
constexpr Codec kQ3_KCodec = block_codec<DType::Q3_K, Q3_K>();
constexpr Codec kQ8_KCodec = block_codec<DType::Q8_K, Q8_K>();

} // namespace realizar
