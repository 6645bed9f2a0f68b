// MXFP4 of the OCP Microscaling Formats specification 1.0: blocks of 32 elements of four bits (E2M1)
// with a power of two as their scale (E8M0, 255 is NaN).
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <cmath>
#include <limits>

namespace realizar {
namespace {

constexpr float kLevels[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6}; // bit 3 is the sign
constexpr int kBias = 127, kLargestExponent = 254, kNaN = 255;
constexpr int kTopLevel = 2; // exponent of the highest level

unsigned nearest_level(float quotient) {
    const float magnitude = std::fabs(quotient);
    unsigned level = 0; // halfway goes to the level with an even code
    while (level < 7) {
        const float middle = (kLevels[level] + kLevels[level + 1]) / 2;
        if (magnitude < middle || (magnitude == middle && level % 2 == 0) || magnitude != magnitude)
            break;
        ++level;
    }
    return level | (std::signbit(quotient) && level > 0 ? 8u : 0u);
}

float level_value(unsigned code) { return code & 8 ? -kLevels[code & 7] : kLevels[code]; }

// Byte i holds elements i (low nibble) and i + 16 (high nibble).
struct MXFP4 {
    static constexpr uint64_t kElements = 32;
    uint8_t exponent;
    uint8_t nibbles[16];

    static float scale_of(int exponent) {
        if (exponent == kNaN) return std::numeric_limits<float>::quiet_NaN();
        return std::ldexp(1.0f, exponent - kBias);
    }

    void decode(float *out) const {
        const float scale = scale_of(exponent);
        for (uint64_t i = 0; i < 16; ++i) {
            out[i] = scale * level_value(nibbles[i] & 15);
            out[i + 16] = scale * level_value(nibbles[i] >> 4);
        }
    }

    // The specification's exponent puts the peak's power of two at the highest level's; one more does
    // not clip, one less gives the small ones finer steps.
    void encode(const float *values, const float *importance) {
        float weights[kElements], peak = 0;
        error_weights({values, kElements}, importance, weights);
        for (uint64_t i = 0; i < kElements; ++i)
            peak = std::max(peak, std::fabs(values[i]));
        if (peak == 0 || !std::isfinite(peak)) return;
        const int usual = std::ilogb(peak) - kTopLevel + kBias;
        exponent = static_cast<uint8_t>(std::clamp(usual, 0, kLargestExponent));
        float least = std::numeric_limits<float>::infinity();
        for (const int candidate : {usual, usual + 1, usual - 1}) {
            const int bounded = std::clamp(candidate, 0, kLargestExponent);
            const float error = error_with(values, weights, bounded);
            if (error < least) {
                least = error;
                exponent = static_cast<uint8_t>(bounded);
            }
        }
        const double inverse = std::ldexp(1.0, kBias - exponent);
        for (uint64_t i = 0; i < 16; ++i)
            nibbles[i] = static_cast<uint8_t>(code_of(values[i], inverse) |
                                              code_of(values[i + 16], inverse) << 4);
    }

    static unsigned code_of(float value, double inverse) {
        return nearest_level(static_cast<float>(value * inverse));
    }
    static float error_with(const float *values, const float *weights, int exponent) {
        const double inverse = std::ldexp(1.0, kBias - exponent);
        float sum = 0;
        for (uint64_t i = 0; i < kElements; ++i) {
            const float error =
                values[i] - scale_of(exponent) * level_value(code_of(values[i], inverse));
            sum += weights[i] * error * error;
        }
        return sum;
    }
};

} // namespace

constexpr Codec kMXFP4Codec = block_codec<DType::MXFP4, MXFP4>();

} // namespace realizar
