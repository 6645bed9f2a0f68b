// Four-bit indices into a fixed table of 16 levels that are denser around zero: IQ4_NL and IQ4_XS.
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <array>
#include <cmath>
#include <cstdlib>

namespace realizar {
namespace {

constexpr std::array<int, 16> kLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};
constexpr int kLowest = kLevels.front(), kHighest = kLevels.back();
constexpr uint64_t kGroup = 32; // elements that share a scale

// Index of the level nearest to each whole number of [kLowest, kHighest].
constexpr auto kNearest = [] {
    std::array<uint8_t, kHighest - kLowest + 1> nearest{};
    for (int value = kLowest; value <= kHighest; ++value) {
        size_t best = 0;
        for (size_t i = 1; i < kLevels.size(); ++i) {
            const int was = value - kLevels[best], is = value - kLevels[i];
            if (is * is < was * was) best = i;
        }
        nearest[static_cast<size_t>(value - kLowest)] = static_cast<uint8_t>(best);
    }
    return nearest;
}();

uint8_t nearest_index(float quotient) {
    return kNearest[static_cast<size_t>(clamp_level(quotient, kLowest, kHighest) - kLowest)];
}

struct Fit {
    float scale = 0, gain = 0;
};

// The least-squares scale for the levels that `scale` assigns, and how much of the weighted square
// sum it explains.
Fit refine(const float *values, const float *weights, float scale) {
    const float inverse = safe_inverse(scale);
    float products = 0, squares = 0;
    for (uint64_t i = 0; i < kGroup; ++i) {
        const auto level = static_cast<float>(kLevels[nearest_index(values[i] * inverse)]);
        products += weights[i] * values[i] * level;
        squares += weights[i] * level * level;
    }
    if (!(squares > 0)) return {};
    return {products / squares, products * products / squares};
}

// The peak may become the lowest or the highest level, or be clipped a little.
float fit_group(const float *values, const float *weights) {
    float peak = 0;
    for (uint64_t i = 0; i < kGroup; ++i)
        if (std::fabs(values[i]) > std::fabs(peak)) peak = values[i];
    if (peak == 0 || !std::isfinite(peak)) return 0;
    Fit best;
    const auto attempt = [&](float scale) {
        const Fit fit = refine(values, weights, scale);
        if (fit.gain > best.gain) best = fit;
    };
    for (const int end : {kLowest, kHighest})
        for (int step = 0; step < 12; ++step)
            attempt(peak / static_cast<float>(end) * (0.72f + 0.03f * static_cast<float>(step)));
    attempt(best.scale);
    return best.scale;
}

void put_indices(const float *values, float scale, uint8_t *nibbles) {
    const float inverse = safe_inverse(scale);
    for (uint64_t i = 0; i < kGroup / 2; ++i)
        nibbles[i] = static_cast<uint8_t>(nearest_index(values[i] * inverse) |
                                          nearest_index(values[i + kGroup / 2] * inverse) << 4);
}

void get_values(const uint8_t *nibbles, float scale, float *out) {
    for (uint64_t i = 0; i < kGroup / 2; ++i) {
        out[i] = scale * static_cast<float>(kLevels[nibbles[i] & 15]);
        out[i + kGroup / 2] = scale * static_cast<float>(kLevels[nibbles[i] >> 4]);
    }
}

// x = d level[q]. Byte i holds elements i (low nibble) and i + 16 (high nibble).
struct IQ4_NL {
    static constexpr uint64_t kElements = kGroup;
    uint16_t d;
    uint8_t nibbles[kGroup / 2];

    void decode(float *out) const { get_values(nibbles, f16_to_f32(d), out); }

    void encode(const float *values, const float *importance) {
        float weights[kGroup];
        error_weights({values, kGroup}, importance, weights);
        d = f16_scale(fit_group(values, weights));
        put_indices(values, f16_to_f32(d), nibbles);
    }
};

// Eight groups of 32 with x = d (code - 32) level[q]. The low nibble of code j is nibble j of
// `codes_low`, its upper pair the bits 2 j of `codes_high`.
struct IQ4_XS {
    static constexpr uint64_t kElements = 256, kGroups = 8;
    static constexpr int kCodeZero = 32, kCodeMax = 31;
    uint16_t d;
    uint16_t codes_high;
    uint8_t codes_low[kGroups / 2];
    uint8_t nibbles[kGroups][kGroup / 2];

    int code(uint64_t j) const {
        return (codes_low[j / 2] >> (j % 2 * 4) & 15) | (codes_high >> (2 * j) & 3) << 4;
    }

    void decode(float *out) const {
        for (uint64_t j = 0; j < kGroups; ++j)
            get_values(nibbles[j], f16_to_f32(d) * static_cast<float>(code(j) - kCodeZero),
                       out + j * kGroup);
    }

    void encode(const float *values, const float *importance) {
        float weights[kElements];
        error_weights({values, kElements}, importance, weights);
        std::array<float, kGroups> ideal;
        float most = 0;
        for (uint64_t j = 0; j < kGroups; ++j) {
            ideal[j] = fit_group(values + j * kGroup, weights + j * kGroup);
            most = std::max(most, std::fabs(ideal[j]));
        }
        d = f16_scale(most / kCodeMax);
        for (uint64_t j = 0; j < kGroups; ++j) {
            const float level =
                clamp_level(ideal[j] * safe_inverse(f16_to_f32(d)), -kCodeMax, kCodeMax);
            const int bits = static_cast<int>(level) + kCodeZero;
            codes_low[j / 2] = static_cast<uint8_t>(codes_low[j / 2] | (bits & 15) << (j % 2 * 4));
            codes_high = static_cast<uint16_t>(codes_high | bits >> 4 << (2 * j));
            put_indices(values + j * kGroup, f16_to_f32(d) * level, nibbles[j]);
        }
    }
};

} // namespace

constexpr Codec kIQ4_NLCodec = block_codec<DType::IQ4_NL, IQ4_NL>();
constexpr Codec kIQ4_XSCodec = block_codec<DType::IQ4_XS, IQ4_XS>();

} // namespace realizar
