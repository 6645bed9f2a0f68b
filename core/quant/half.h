// Conversions between float32 and the two 16-bit float types, exact and branch-light.
#pragma once

#include <bit>
#include <cstdint>

namespace realizar {

inline float f16_to_f32(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1F, fraction = half & 0x3FFu;
    if (exponent == 0) { // zero or subnormal: fraction * 2^-24
        const float value = static_cast<float>(fraction) * 0x1p-24f;
        return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
    }
    const uint32_t wide = exponent == 31 ? 0xFFu : exponent + (127 - 15);
    return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

// Round to nearest even; overflow to Inf; NaN stays NaN, quiet.
inline uint16_t f32_to_f16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
    const uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return static_cast<uint16_t>(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
    if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7C00u); // >= 65536
    if (magnitude < 0x38800000u) { // below 2^-14: subnormal, in steps of 2^-24
        // Adding 0.5 leaves a float whose last bit is worth 2^-24: the addition rounds to even.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000u));
    }
    // Rounding may carry into the exponent, up to Inf: the layout makes that right by itself.
    const uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u);
    return static_cast<uint16_t>(sign | ((rounded >> 13) - ((127u - 15u) << 10)));
}

inline float bf16_to_f32(uint16_t half) { return std::bit_cast<float>(uint32_t(half) << 16); }

// Round to nearest even; NaN stays NaN, quiet.
inline uint16_t f32_to_bf16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
    return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

} // namespace realizar
