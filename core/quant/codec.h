// Scalar codecs between element types and float32: the readable definition of each block layout.
// One row per type in the codec table; one file per family.
#pragma once

#include "core/common/result.h"
#include "core/tensor/dtype.h"

#include <span>

namespace realizar {

struct Codec {
    DType dtype;
    // `elements` is a multiple of the type's block. Never fails: any bytes decode to something.
    void (*decode)(const std::byte *blocks, float *out, uint64_t elements);
    // nullptr for types that this build reads but does not write. `importance` (one weight per
    // element of the row, or nullptr) favours elements in the search for scales.
    void (*encode)(const float *values, const float *importance, std::byte *blocks, uint64_t elements);
};

// nullptr for a type without codec (the integer types, and quantisations not read yet).
const Codec *find_codec(DType dtype);

float f16_to_f32(uint16_t half);
uint16_t f32_to_f16(float value);   // round to nearest even, overflow to Inf, NaN stays NaN
float bf16_to_f32(uint16_t half);
uint16_t f32_to_bf16(float value);  // round to nearest even

// Whole tensors by rows. Checks sizes.
Status decode_rows(DType dtype, std::span<const std::byte> data, std::span<float> out, uint64_t row_elements);
Status encode_rows(DType dtype, std::span<const float> values, std::span<std::byte> out, uint64_t row_elements);

// First NaN or Inf among decoded values or scales; used by --check-tensors.
bool all_finite(DType dtype, std::span<const std::byte> data);

} // namespace realizar
