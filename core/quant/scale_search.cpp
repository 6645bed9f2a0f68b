#include "core/quant/scale_search.h"

#include "core/quant/half.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace realizar {
namespace {

// Sums are kept in lanes so that the compiler may use vectors without reordering additions.
constexpr size_t kLanes = 8;
using Lanes = std::array<float, kLanes>;

float total(const Lanes &lanes) {
    float sum = 0;
    for (const float lane : lanes)
        sum += lane;
    return sum;
}

// Weighted sums over one assignment of levels q to values x.
struct LevelSums {
    float w = 0, q = 0, qq = 0, x = 0, xq = 0, xx = 0;
};

LevelSums assign(std::span<const float> values, const float *weights, Affine fit, float low,
                 float high) {
    Lanes w{}, q{}, qq{}, x{}, xq{}, xx{};
    const float inverse = safe_inverse(fit.scale);
    for (size_t i = 0; i + kLanes <= values.size(); i += kLanes)
        for (size_t j = 0; j < kLanes; ++j) {
            const float value = values[i + j], weight = weights[i + j];
            const float level = clamp_level((value - fit.offset) * inverse, low, high);
            w[j] += weight;
            q[j] += weight * level;
            qq[j] += weight * level * level;
            x[j] += weight * value;
            xq[j] += weight * value * level;
            xx[j] += weight * value * value;
        }
    return {total(w), total(q), total(qq), total(x), total(xq), total(xx)};
}

// The least-squares scale and offset for fixed levels, and the error that is left.
struct Refined {
    Affine fit;
    float error = std::numeric_limits<float>::infinity();
};

Refined least_squares(const LevelSums &s, Offset offset) {
    const float determinant = s.w * s.qq - s.q * s.q;
    // All levels (nearly) equal: only one of scale and offset is determined.
    if (!(determinant > 1e-6f * s.w * s.qq)) {
        const float mean = s.w > 0 ? s.x / s.w : 0;
        if (offset == Offset::not_positive && mean > 0)
            return s.qq > 0 ? Refined{{s.xq / s.qq, 0}, s.xx - s.xq * s.xq / s.qq}
                            : Refined{{}, s.xx};
        return {{0, mean}, s.xx - mean * s.x};
    }
    Affine fit{(s.w * s.xq - s.q * s.x) / determinant, (s.qq * s.x - s.q * s.xq) / determinant};
    if (offset == Offset::not_positive && fit.offset > 0) fit = {s.xq / s.qq, 0};
    // At a least-squares optimum the residual is orthogonal to the levels (and to 1 if offset !=
    // 0).
    return {fit, s.xx - fit.scale * s.xq - fit.offset * s.x};
}

constexpr int kGrid = 16;

} // namespace

float safe_inverse(float value) {
    const float inverse = 1 / value;
    return std::isfinite(inverse) ? inverse : 0;
}

uint16_t f16_scale(float value) {
    constexpr float kLargest = 65504, kSmallest = 0x1p-24f;
    if (value == 0 || std::isnan(value)) return 0;
    const float magnitude = std::clamp(std::fabs(value), kSmallest, kLargest);
    return f32_to_f16(std::copysign(magnitude, value));
}

void error_weights(std::span<const float> values, const float *importance, float *weights) {
    float squares = 0;
    for (const float value : values)
        squares += value * value;
    const float mean = squares / static_cast<float>(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
        const float weight = std::sqrt(mean + values[i] * values[i]);
        weights[i] = importance ? importance[i] * weight : weight;
    }
}

float fit_scale(std::span<const float> values, const float *weights, int low, int high) {
    const auto smaller = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
    const float peak = *std::ranges::max_element(values, smaller);
    if (peak == 0 || !std::isfinite(peak)) return 0;
    const auto low_level = static_cast<float>(low), high_level = static_cast<float>(high);
    // The peak sits on the lowest level (there is one more of the negative ones), or is clipped by
    // up to about four levels in favour of the rest.
    const float narrowest = std::max(0.7f, 1 + 4 / low_level), widest = 1.05f;
    float best_scale = 0, best_gain = 0;
    const auto refine = [&](float scale) {
        const LevelSums s = assign(values, weights, {scale, 0}, low_level, high_level);
        const float gain = s.qq > 0 ? s.xq * s.xq / s.qq : 0; // xx - error
        if (gain > best_gain) {
            best_gain = gain;
            best_scale = s.xq / s.qq;
        }
    };
    for (int i = 0; i < kGrid; ++i) {
        const float part = static_cast<float>(i) / (kGrid - 1);
        refine(peak / low_level * (narrowest + part * (widest - narrowest)));
    }
    refine(best_scale);
    refine(best_scale);
    return best_scale;
}

Affine fit_affine(std::span<const float> values, const float *weights, int high, Offset offset) {
    const auto [least, most] = std::ranges::minmax(values);
    const float low = offset == Offset::not_positive ? std::min(least, 0.0f) : least;
    const float range = std::max(most, low) - low;
    if (!std::isfinite(range)) return {};
    if (range == 0) return {0, low};
    const auto top = static_cast<float>(high);
    const float narrowest = std::max(0.7f, 1 - 2 / top), widest = 1.1f;
    Refined best;
    for (int i = 0; i < kGrid; ++i) {
        const float part = static_cast<float>(i) / (kGrid - 1);
        Affine fit{range / top * (narrowest + part * (widest - narrowest)), low};
        for (int step = 0; step < 2; ++step) {
            const LevelSums sums = assign(values, weights, fit, 0, top);
            const Refined refined = least_squares(sums, offset);
            if (refined.error < best.error) best = refined;
            fit = refined.fit;
        }
    }
    return best.fit;
}

float level_error(std::span<const float> values, const float *weights, Affine fit, int low,
                  int high) {
    Lanes sum{};
    const float inverse = safe_inverse(fit.scale);
    const auto low_level = static_cast<float>(low), high_level = static_cast<float>(high);
    for (size_t i = 0; i + kLanes <= values.size(); i += kLanes)
        for (size_t j = 0; j < kLanes; ++j) {
            const float value = values[i + j];
            const float level = clamp_level((value - fit.offset) * inverse, low_level, high_level);
            const float error = value - (fit.scale * level + fit.offset);
            sum[j] += weights[i + j] * error * error;
        }
    return total(sum);
}

} // namespace realizar
