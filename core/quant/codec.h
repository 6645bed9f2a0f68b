// Scalar codecs between element types and float32: the readable definition of each block layout.
// One row per type in the codec table; one file per family.
#pragma once

#include "core/common/result.h"
#include "core/quant/half.h"
#include "core/tensor/dtype.h"

#include <optional>
#include <span>

namespace realizar {

struct Codec {
    DType dtype;
    // `elements` is a multiple of the type's block. Never fails: any bytes decode to something.
    void (*decode)(const std::byte *blocks, float *out, uint64_t elements);
    // nullptr for types that this build reads but does not write. `importance` (one weight per
    // element of the row, or nullptr) favours elements in the search for scales.
    void (*encode)(const float *values, const float *importance, std::byte *blocks,
                   uint64_t elements);
};

// nullptr for a type that this build cannot read.
const Codec *find_codec(DType dtype);

// Whole tensors by rows. Checks sizes; tags no_codec, row_not_block_multiple, size_mismatch.
Status decode_rows(DType dtype, std::span<const std::byte> data, std::span<float> out,
                   uint64_t row_elements);
Status encode_rows(DType dtype, std::span<const float> values, std::span<std::byte> out,
                   uint64_t row_elements);

// The first block (element, for plain types) that decodes to a NaN or Inf, as a bad scale does.
std::optional<uint64_t> find_non_finite(DType dtype, std::span<const std::byte> data);
inline bool all_finite(DType dtype, std::span<const std::byte> data) {
    return !find_non_finite(dtype, data);
}

} // namespace realizar
