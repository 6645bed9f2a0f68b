// Float64 decoders written from the published block layouts, one element at a time, with no code
// shared with core/quant: what "element e of this block" means, nothing else.
#pragma once

#include "core/tensor/dtype.h"

#include <cstdint>
#include <span>

namespace realizar::test {

// A decoded value and the sum of the magnitudes of its terms, to which rounding is relative.
struct Exact {
    double value = 0, magnitude = 0;
};

// Element `e` of the block at `block`. Fails the process's assert for a type without an oracle.
Exact exact_element(DType dtype, const uint8_t *block, uint64_t e);
bool has_oracle(DType dtype);

// Byte offsets of the float16 scales in a block of the type (to make random blocks finite).
std::span<const uint32_t> f16_offsets(DType dtype);

double exact_f16(uint16_t bits);

} // namespace realizar::test
