#include "plugins/common/positions.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace realizar::plugin {

std::vector<float> rope_turns(const rz_attr_rope &a) {
    const double rotated = a.rotated, turn = 2 * std::numbers::pi;
    double low = 0, high = 0;
    if (a.extrapolation != 0.0f) {
        const auto bound = [&](double beta) {
            return rotated * std::log(a.original_context / (beta * turn)) /
                   (2 * std::log(static_cast<double>(a.base)));
        };
        low = std::clamp(std::floor(bound(a.beta_fast)), 0.0, rotated - 1);
        high = std::clamp(std::ceil(bound(a.beta_slow)), 0.0, rotated - 1);
    }
    std::vector<float> result;
    for (uint32_t i = 0; i < a.rotated / 2; ++i) {
        const double plain = std::pow(static_cast<double>(a.base), -2.0 * i / rotated);
        const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
        const double r = a.extrapolation * (1.0 - ramp);
        const double value = plain * (a.scale * (1.0 - r) + r) / turn;
        const auto upper = static_cast<float>(value);
        result.push_back(upper);
        result.push_back(static_cast<float>(value - upper));
    }
    return result;
}

float rope_magnitude(const rz_attr_rope &a) {
    double result = a.attention_factor;
    if (a.extrapolation != 0.0f) result *= 1.0 + 0.1 * std::log(1.0 / a.scale);
    return static_cast<float>(result);
}

std::vector<float> alibi_slopes(float max_bias, uint32_t heads) {
    const double bias = max_bias;
    uint32_t n = 1;
    while (2 * n <= heads)
        n *= 2;
    std::vector<float> result;
    for (uint32_t h = 0; h < heads; ++h) {
        const double at = h < n ? h + 1 : 2 * (h - n) + 1, rate = h < n ? bias : bias / 2;
        result.push_back(static_cast<float>(std::exp2(-rate * at / n)));
    }
    return result;
}

} // namespace realizar::plugin
