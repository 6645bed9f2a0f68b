// The packed layouts of weights (kernels/packed_format.h): one row of a table for each type that has one.
#pragma once

#include "plugins/cpu/kernels/kernels.h"

#include <cstdint>

namespace realizar::cpu {

struct PackedLayout {
    WeightType type;
    uint64_t block_elements; // of the canonical type
    uint64_t block_bytes;

    uint64_t (*group_bytes)(uint64_t k); // of kPackedRows rows of k elements
    // Moves one canonical row into lane `lane` of a group, and back, bit by bit. The other lanes stay.
    void (*pack)(const uint8_t *row, uint8_t *group, unsigned lane, uint64_t begin, uint64_t end);
    void (*unpack)(const uint8_t *group, uint8_t *row, unsigned lane, uint64_t k);

    uint64_t bytes(uint64_t rows, uint64_t k) const {
        return (rows + kPackedRows - 1) / kPackedRows * group_bytes(k);
    }
};

// nullptr for a type without one.
const PackedLayout *packed_layout(WeightType type);

// Rows [row_begin, row_begin + count) of a weight into its packed form `packed`.
void pack_rows(const PackedLayout &layout, const uint8_t *rows, uint64_t row_begin, uint64_t count,
               uint64_t k, uint8_t *packed);
// One row, as it was, into k / block_elements * block_bytes bytes.
void unpack_row(const PackedLayout &layout, const uint8_t *packed, uint64_t row, uint64_t k,
                uint8_t *out);

} // namespace realizar::cpu
