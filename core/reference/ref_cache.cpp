#include "core/reference/ref_cache.h"

#include "core/quant/half.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace realizar {

void ref_rotate(std::span<double> row) {
    const size_t size = row.size(), run = size % 64 == 0 ? 64 : 32;
    for (size_t half = 1; half < run; half *= 2)
        for (size_t i = 0; i < size; ++i) {
            if (i & half) continue;
            const double a = row[i], b = row[i + half];
            row[i] = a + b;
            row[i + half] = a - b;
        }
    for (double &value : row)
        value /= std::sqrt(static_cast<double>(run));
}

std::vector<std::byte> ref_encode_rotated(std::span<const double> rotated) {
    constexpr size_t kBlock = 32, kBytes = 18;
    std::vector<std::byte> out(rotated.size() / kBlock * kBytes);
    std::byte *block = out.data();
    for (size_t begin = 0; begin < rotated.size(); begin += kBlock, block += kBytes) {
        const auto values = rotated.subspan(begin, kBlock);
        const double extreme = *std::ranges::max_element(
            values, [](double a, double b) { return std::fabs(a) < std::fabs(b); });
        const auto scale = static_cast<float>(std::clamp(extreme / -8, -65504.0, 65504.0));
        const uint16_t bits = f32_to_f16(scale);
        const double step = f16_to_f32(bits);
        const auto level = [&](size_t i) {
            const double quotient = step != 0 ? values[i] / step : 0;
            return static_cast<unsigned>(std::clamp(std::nearbyint(quotient), -8.0, 7.0) + 8);
        };
        block[0] = static_cast<std::byte>(bits & 255);
        block[1] = static_cast<std::byte>(bits >> 8);
        for (size_t i = 0; i < kBlock / 2; ++i)
            block[2 + i] = static_cast<std::byte>(level(i) | level(i + kBlock / 2) << 4);
    }
    return out;
}

} // namespace realizar
