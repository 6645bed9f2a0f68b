// Random inputs for codecs: blocks with finite scales, and values of several distributions.
#pragma once

#include "layout_oracle.h"

#include "core/quant/codec.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace realizar::test {

// Random bytes; every float in them is made finite and of a sane size.
inline std::vector<uint8_t> random_blocks(DType dtype, uint64_t blocks, std::mt19937 &random) {
    const DTypeInfo &info = dtype_info(dtype);
    std::vector<uint8_t> bytes(blocks * info.block_bytes);
    for (uint8_t &byte : bytes)
        byte = static_cast<uint8_t>(random());
    std::uniform_real_distribution<float> scale(-2, 2);
    for (uint64_t i = 0; i < blocks; ++i) {
        uint8_t *block = bytes.data() + i * info.block_bytes;
        const auto put = [&](uint32_t offset, auto value) {
            std::memcpy(block + offset, &value, sizeof value);
        };
        for (const uint32_t offset : f16_offsets(dtype))
            put(offset, f32_to_f16(scale(random)));
        if (dtype == DType::F32 || dtype == DType::Q8_K) put(0, scale(random));
        if (dtype == DType::MXFP4) // 2^-27 to 2^24
            block[0] = static_cast<uint8_t>(100 + block[0] % 52);
        if (dtype == DType::IQ1_M) // the exponent's upper bits, in the last nibble of all
            block[55] = static_cast<uint8_t>((block[55] & 0x8F) | 0x30);
        if (dtype == DType::F64) put(0, double(scale(random)));
        if (dtype == DType::BF16) put(0, f32_to_bf16(scale(random)));
    }
    return bytes;
}

// Weights as they occur in models: Gaussian with a spread that differs per row of 32, and a few
// outliers.
inline std::vector<float> random_weights(uint64_t count, std::mt19937 &random) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    float spread = 0.02f;
    for (uint64_t i = 0; i < count; ++i) {
        if (i % 32 == 0) spread = 0.02f * std::exp(0.3f * normal(random));
        values[i] = spread * normal(random);
        if (random() % 500 == 0) values[i] *= 4;
    }
    return values;
}

inline std::vector<float> decoded(DType dtype, const void *bytes, uint64_t elements) {
    std::vector<float> out(elements);
    find_codec(dtype)->decode(static_cast<const std::byte *>(bytes), out.data(), elements);
    return out;
}

inline std::vector<std::byte> encoded(DType dtype, const std::vector<float> &values,
                                      const float *importance = nullptr) {
    std::vector<std::byte> out(row_bytes(dtype, values.size()));
    find_codec(dtype)->encode(values.data(), importance, out.data(), values.size());
    return out;
}

inline std::vector<float> round_trip(DType dtype, const std::vector<float> &values,
                                     const float *importance = nullptr) {
    return decoded(dtype, encoded(dtype, values, importance).data(), values.size());
}

inline double squared_error(const std::vector<float> &a, const std::vector<float> &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i)
        sum += std::pow(double(a[i]) - double(b[i]), 2);
    return sum;
}

} // namespace realizar::test
