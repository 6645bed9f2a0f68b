// Random operands and the comparison of results with float64.
#pragma once

#include "core/quant/codec.h"
#include "plugins/cpu/isa.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace realizar::cpu::test {

using Random = std::mt19937;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

inline Floats random_floats(Random &random, size_t n, float spread = 1.0f) {
    std::normal_distribution<float> normal(0.0f, spread);
    Floats values(n);
    for (float &v : values)
        v = normal(random);
    return values;
}

// The largest |value - expected| in units of the tolerance; Inf for a NaN or a wrong count. At most
// 1 passes.
inline double worst(const Floats &values, const Doubles &expected, const Doubles &tolerance) {
    if (values.size() != expected.size() || values.size() != tolerance.size()) return INFINITY;
    double result = 0;
    for (size_t i = 0; i < values.size(); ++i) {
        const double d = std::abs(values[i] - expected[i]);
        if (!std::isfinite(d)) return INFINITY;
        if (d > 0) result = std::max(result, tolerance[i] > 0 ? d / tolerance[i] : INFINITY);
    }
    return result;
}

// One instruction set of this machine.
class PerIsa : public testing::TestWithParam<const Kernels *> {
  protected:
    const Kernels &k = *GetParam();
    Random random{20240u};
};

inline std::string isa_name(const testing::TestParamInfo<const Kernels *> &info) {
    return info.param->isa;
}

#define RZ_PER_ISA(suite)                                                                          \
    INSTANTIATE_TEST_SUITE_P(Isa, suite,                                                           \
                             testing::ValuesIn(realizar::cpu::available_kernels().begin(),         \
                                               realizar::cpu::available_kernels().end()),          \
                             realizar::cpu::test::isa_name)

// Half a unit in the last place of a float near 1.
constexpr double kEpsilon = 0x1p-24;

struct WeightCase {
    WeightType type;
    DType dtype;
    const char *name;
};
inline const std::vector<WeightCase> kWeightCases = {
    {kF32, DType::F32, "F32"},          {kF16, DType::F16, "F16"},
    {kBF16, DType::BF16, "BF16"},       {kQ8_0, DType::Q8_0, "Q8_0"},
    {kQ4_0, DType::Q4_0, "Q4_0"},       {kQ4_K, DType::Q4_K, "Q4_K"},
    {kQ6_K, DType::Q6_K, "Q6_K"},       {kQ4_1, DType::Q4_1, "Q4_1"},
    {kQ5_0, DType::Q5_0, "Q5_0"},       {kQ5_1, DType::Q5_1, "Q5_1"},
    {kQ3_K, DType::Q3_K, "Q3_K"},       {kQ5_K, DType::Q5_K, "Q5_K"},
    {kIQ4_NL, DType::IQ4_NL, "IQ4_NL"}, {kIQ4_XS, DType::IQ4_XS, "IQ4_XS"},
    {kMXFP4, DType::MXFP4, "MXFP4"},
};

// Random rows in a type, and their exact values.
struct WeightRows {
    std::vector<std::byte> bytes;
    Floats values;
    uint64_t stride;

    WeightRows(Random &random, DType dtype, uint64_t rows, uint64_t k)
        : values(rows * k), stride(row_bytes(dtype, k)) {
        const Floats source = random_floats(random, rows * k, 0.05f);
        bytes.resize(rows * stride);
        if (dtype == DType::F32)
            std::memcpy(bytes.data(), source.data(), bytes.size());
        else
            find_codec(dtype)->encode(source.data(), nullptr, bytes.data(), rows * k);
        if (dtype == DType::F32)
            values = source;
        else
            find_codec(dtype)->decode(bytes.data(), values.data(), rows * k);
    }
    const uint8_t *data() const { return reinterpret_cast<const uint8_t *>(bytes.data()); }
};

} // namespace realizar::cpu::test
