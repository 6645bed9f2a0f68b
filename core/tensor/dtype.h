// Element types, as C++ sees the table RZ_DTYPES of backend.h.
#pragma once

#include "realizar/backend.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace realizar {

enum class DType : uint32_t {
#define RZ_ENUM(name, id, elements, bytes) name = id,
    RZ_DTYPES(RZ_ENUM)
#undef RZ_ENUM
};

struct DTypeInfo {
    DType dtype;
    const char *name;        // as in RZ_DTYPES, e.g. "Q4_K"
    uint32_t block_elements; // 1 for plain types
    uint32_t block_bytes;
};

// All rows of the table, in rising id.
std::span<const DTypeInfo> dtype_table();

// The row of an id; nullptr for an unknown one (ids come from files).
const DTypeInfo *find_dtype(uint32_t id);
// The row of a known type.
const DTypeInfo &dtype_info(DType dtype);
// By name, letter case ignored.
std::optional<DType> dtype_from_name(std::string_view name);

constexpr bool is_integer(DType dtype) { return dtype >= DType::I8 && dtype <= DType::I64; }

// Bytes of a row of `elements`; elements must be a multiple of block_elements.
constexpr uint64_t row_bytes(const DTypeInfo &info, uint64_t elements) {
    return elements / info.block_elements * info.block_bytes;
}
inline uint64_t row_bytes(DType dtype, uint64_t elements) {
    return row_bytes(dtype_info(dtype), elements);
}

} // namespace realizar
