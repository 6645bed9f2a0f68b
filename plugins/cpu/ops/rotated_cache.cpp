#include "plugins/cpu/ops/rotated_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar::cpu {

// The fast Walsh-Hadamard transform: one pass over the row for each factor of two.
void rotate_row(float *row, uint64_t n) {
    const uint64_t run = n % 64 == 0 ? 64 : 32;
    for (uint64_t half = 1; half < run; half *= 2)
        for (uint64_t begin = 0; begin < n; begin += 2 * half)
            for (uint64_t i = begin; i < begin + half; ++i) {
                const float a = row[i], b = row[i + half];
                row[i] = a + b;
                row[i + half] = a - b;
            }
    const float factor = 1.0f / std::sqrt(static_cast<float>(run));
    for (uint64_t i = 0; i < n; ++i)
        row[i] *= factor;
}

void encode_rotated(const Kernels &kernels, const float *row, uint8_t *blocks, uint64_t n) {
    constexpr uint64_t kBlock = 32, kBytes = 18;
    for (uint64_t begin = 0; begin < n; begin += kBlock, blocks += kBytes) {
        const float *x = row + begin;
        float extreme = 0;
        for (uint64_t i = 0; i < kBlock; ++i)
            if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
        const float wanted = std::clamp(extreme / -8, -65504.0f, 65504.0f);
        uint16_t half;
        float step;
        kernels.encode_f16(&wanted, &half, 1);
        kernels.decode[kF16](reinterpret_cast<const uint8_t *>(&half), &step, 1);
        std::memcpy(blocks, &half, 2);
        const float inverse = step != 0 ? 1 / step : 0;
        uint8_t levels[kBlock];
        for (uint64_t i = 0; i < kBlock; ++i) {
            // Out of range, NaN too, before the conversion: that of NaN is undefined.
            const float quotient = x[i] * inverse;
            const float level = quotient > -8 ? std::min(quotient, 7.0f) : -8;
            levels[i] = static_cast<uint8_t>(std::nearbyint(level) + 8);
        }
        for (uint64_t i = 0; i < kBlock / 2; ++i)
            blocks[2 + i] = static_cast<uint8_t>(levels[i] | levels[i + kBlock / 2] << 4);
    }
}

} // namespace realizar::cpu
