#include "plugins/cpu/packed_layout.h"

#include "plugins/cpu/packing_float.h"
#include "plugins/cpu/packing_long.h"
#include "plugins/cpu/packing_short.h"

#include <algorithm>
#include <iterator>

namespace realizar::cpu {

namespace {

// Blocks [begin, end) of a row.
template <class T>
void pack(const uint8_t *row, uint8_t *group, unsigned lane, uint64_t begin, uint64_t end) {
    constexpr uint64_t per_block = T::Format::kElements / T::kElements;
    for (uint64_t b = begin; b < end; ++b)
        T::pack(row + b * T::kBytes, group + b / per_block * T::Format::kBytes, lane,
                b % per_block);
}
template <class T>
void unpack(const uint8_t *group, uint8_t *row, unsigned lane, uint64_t k) {
    constexpr uint64_t per_block = T::Format::kElements / T::kElements;
    for (uint64_t b = 0; b < k / T::kElements; ++b)
        T::unpack(group + b / per_block * T::Format::kBytes, row + b * T::kBytes, lane,
                  b % per_block);
}

template <class T>
constexpr PackedLayout row_of() {
    return {T::kType, T::kElements, T::kBytes, packed_group_bytes<typename T::Format>,
            pack<T>,  unpack<T>};
}
constexpr PackedLayout kLayouts[] = {
    row_of<packing::Half<kF16>>(), row_of<packing::Half<kBF16>>(), row_of<packing::Q80>(),
    row_of<packing::Q40>(),        row_of<packing::Q41>(),         row_of<packing::Q50>(),
    row_of<packing::Q51>(),        row_of<packing::IQ4NL>(),       row_of<packing::MXFP4>(),
    row_of<packing::Q3K>(),        row_of<packing::Q4K>(),         row_of<packing::Q5K>(),
    row_of<packing::Q6K>(),        row_of<packing::IQ4XS>(),
};

} // namespace

const PackedLayout *packed_layout(WeightType type) {
    const auto found = std::find_if(std::begin(kLayouts), std::end(kLayouts),
                                    [&](const PackedLayout &l) { return l.type == type; });
    return found == std::end(kLayouts) ? nullptr : found;
}

void pack_rows(const PackedLayout &layout, const uint8_t *rows, uint64_t row_begin, uint64_t count,
               uint64_t k, uint8_t *packed) {
    // All rows of a group for a few blocks at a time: what is written stays in the nearest cache.
    const uint64_t at_once = std::max<uint64_t>(1, 512 / layout.block_elements);
    const uint64_t blocks = k / layout.block_elements, stride = blocks * layout.block_bytes;
    const uint64_t group_bytes = layout.group_bytes(k);
    for (uint64_t first = row_begin; first < row_begin + count;) {
        const uint64_t group = first / kPackedRows;
        const uint64_t last = std::min((group + 1) * kPackedRows, row_begin + count);
        for (uint64_t b = 0; b < blocks; b += at_once)
            for (uint64_t r = first; r < last; ++r)
                layout.pack(rows + (r - row_begin) * stride, packed + group * group_bytes,
                            static_cast<unsigned>(r % kPackedRows), b,
                            std::min(b + at_once, blocks));
        first = last;
    }
}

void unpack_row(const PackedLayout &layout, const uint8_t *packed, uint64_t row, uint64_t k,
                uint8_t *out) {
    layout.unpack(packed + row / kPackedRows * layout.group_bytes(k), out,
                  static_cast<unsigned>(row % kPackedRows), k);
}

} // namespace realizar::cpu
