// Types of one element per block: floats and integers.
#include "core/quant/block.h"

#include <cmath>
#include <limits>

namespace realizar {
namespace {

// Read rounded to float32. Integers are written to the nearest, ties to even, within their range; NaN
// becomes 0.
template <class Stored>
struct Plain {
    static constexpr uint64_t kElements = 1;
    Stored stored;
    void decode(float *out) const { *out = static_cast<float>(stored); }
    void encode(const float *value, const float *) {
        if constexpr (std::is_integral_v<Stored>)
            stored = nearest(*value);
        else
            stored = *value;
    }
    static Stored nearest(float value) {
        using Limits = std::numeric_limits<Stored>;
        if (std::isnan(value)) return 0;
        const double whole = std::nearbyint(double{value}); // the largest as a double: 2^63 for I64
        if (whole >= static_cast<double>(Limits::max())) return Limits::max();
        if (whole <= static_cast<double>(Limits::min())) return Limits::min();
        return static_cast<Stored>(whole);
    }
};

struct F16 {
    static constexpr uint64_t kElements = 1;
    uint16_t bits;
    void decode(float *out) const { *out = f16_to_f32(bits); }
    void encode(const float *value, const float *) { bits = f32_to_f16(*value); }
};

struct BF16 {
    static constexpr uint64_t kElements = 1;
    uint16_t bits;
    void decode(float *out) const { *out = bf16_to_f32(bits); }
    void encode(const float *value, const float *) { bits = f32_to_bf16(*value); }
};

} // namespace

constexpr Codec kF32Codec = block_codec<DType::F32, Plain<float>>();
constexpr Codec kF16Codec = block_codec<DType::F16, F16>();
constexpr Codec kBF16Codec = block_codec<DType::BF16, BF16>();
constexpr Codec kF64Codec = block_codec<DType::F64, Plain<double>>();
constexpr Codec kI8Codec = block_codec<DType::I8, Plain<int8_t>>();
constexpr Codec kI16Codec = block_codec<DType::I16, Plain<int16_t>>();
constexpr Codec kI32Codec = block_codec<DType::I32, Plain<int32_t>>();
constexpr Codec kI64Codec = block_codec<DType::I64, Plain<int64_t>>();

} // namespace realizar
