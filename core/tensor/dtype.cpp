#include "core/tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace realizar {
namespace {

constexpr DTypeInfo kTable[] = {
#define RZ_ROW(name, id, elements, bytes) {DType::name, #name, elements, bytes},
    RZ_DTYPES(RZ_ROW)
#undef RZ_ROW
};

} // namespace

std::span<const DTypeInfo> dtype_table() { return kTable; }

const DTypeInfo *find_dtype(uint32_t id) {
    const auto row = std::ranges::find(
        kTable, id, [](const DTypeInfo &r) { return static_cast<uint32_t>(r.dtype); });
    return row == std::end(kTable) ? nullptr : row;
}

const DTypeInfo &dtype_info(DType dtype) { return *find_dtype(static_cast<uint32_t>(dtype)); }

std::optional<DType> dtype_from_name(std::string_view name) {
    const auto same = [&](const DTypeInfo &row) {
        return std::ranges::equal(
            name, std::string_view(row.name), {}, [](unsigned char c) { return std::toupper(c); },
            [](unsigned char c) { return std::toupper(c); });
    };
    const auto row = std::ranges::find_if(kTable, same);
    if (row == std::end(kTable)) return std::nullopt;
    return row->dtype;
}

} // namespace realizar
