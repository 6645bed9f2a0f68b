// The search for scales that the encoders share. Internal to core/quant.
//
// All of it minimises the weighted squared error sum w (x - x')^2 over one (sub-)block. The error
// as a function of the scale has many local minima (each change of a rounded level moves it), so a
// grid of starting scales is tried, each refined by least squares for the levels that it gives.
#pragma once

#include <cstdint>
#include <span>

namespace realizar {

// Round to nearest even; |value| < 2^22 (SSE2-only builds have no vector instruction for it).
inline float round_level(float value) {
    constexpr float kShift = 0x1.8p23f;
    return (value + kShift) - kShift;
}

// The nearest level to a quotient. NaN gives `low`.
inline float clamp_level(float value, float low, float high) {
    value = value > low ? value : low;
    return round_level(value < high ? value : high);
}

// 1 / value, or 0 for a zero or an inverse that is not finite.
float safe_inverse(float value);

// A scale as float16 bits: finite, and not flushed to zero unless it is zero, since a subnormal
// scale with few levels still beats none.
uint16_t f16_scale(float value);

// Weights of the squared errors: importance (or 1) times sqrt(mean square + x^2): large weights
// matter more than their share, since they meet large activations.
void error_weights(std::span<const float> values, const float *importance, float *weights);

// value = scale * level, level an integer of [low, high], low < 0 < high. Size a multiple of 8.
float fit_scale(std::span<const float> values, const float *weights, int low, int high);

// value = scale * level + offset, level an integer of [0, high]. Size a multiple of 8.
struct Affine {
    float scale = 0, offset = 0;
};
enum class Offset { any, not_positive };
Affine fit_affine(std::span<const float> values, const float *weights, int high, Offset offset);

// Weighted squared error of the nearest levels of [low, high].
float level_error(std::span<const float> values, const float *weights, Affine fit, int low,
                  int high);

} // namespace realizar
