// Blocks of 32 elements with one float16 scale d: Q8_0 and Q4_0.
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <cmath>

namespace realizar {
namespace {

constexpr uint64_t kBlock = 32;

// x = d q, q of [-127, 127].
struct Q8_0 {
    static constexpr uint64_t kElements = kBlock;
    uint16_t d;
    int8_t q[kBlock];

    void decode(float *out) const {
        const float scale = f16_to_f32(d);
        for (uint64_t i = 0; i < kBlock; ++i)
            out[i] = scale * q[i];
    }

    // With 255 levels a search gains nothing that can be seen: the peak gets the highest level.
    void encode(const float *values, const float *) {
        float peak = 0;
        for (uint64_t i = 0; i < kBlock; ++i)
            peak = std::max(peak, std::fabs(values[i]));
        d = f16_scale(peak / 127);
        const float inverse = safe_inverse(f16_to_f32(d));
        for (uint64_t i = 0; i < kBlock; ++i)
            q[i] = static_cast<int8_t>(clamp_level(values[i] * inverse, -127, 127));
    }
};

// x = d (q - 8), q of [0, 15]. Byte i holds elements i (low nibble) and i + 16 (high nibble).
struct Q4_0 {
    static constexpr uint64_t kElements = kBlock;
    uint16_t d;
    uint8_t q[kBlock / 2];

    void decode(float *out) const {
        const float scale = f16_to_f32(d);
        for (uint64_t i = 0; i < kBlock / 2; ++i) {
            out[i] = scale * static_cast<float>((q[i] & 15) - 8);
            out[i + kBlock / 2] = scale * static_cast<float>((q[i] >> 4) - 8);
        }
    }

    void encode(const float *values, const float *importance) {
        float weights[kBlock];
        error_weights({values, kBlock}, importance, weights);
        d = f16_scale(fit_scale({values, kBlock}, weights, -8, 7));
        const float inverse = safe_inverse(f16_to_f32(d));
        const auto level = [&](uint64_t i) {
            return static_cast<unsigned>(clamp_level(values[i] * inverse, -8, 7) + 8);
        };
        for (uint64_t i = 0; i < kBlock / 2; ++i)
            q[i] = static_cast<uint8_t>(level(i) | level(i + kBlock / 2) << 4);
    }
};

} // namespace

constexpr Codec kQ8_0Codec = block_codec<DType::Q8_0, Q8_0>();
constexpr Codec kQ4_0Codec = block_codec<DType::Q4_0, Q4_0>();

} // namespace realizar
