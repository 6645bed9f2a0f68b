// The LZ4 block format, decoding only (lz4_Block_format.md of the LZ4 project).
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace realizar {

// Decodes a block that must give exactly `size` bytes. Memory is bounded by 255 times the input:
// no block expands further. Tag bad_lz4 (Code::malformed).
Result<std::string> decode_lz4(std::span<const std::byte> block, uint64_t size);

} // namespace realizar
