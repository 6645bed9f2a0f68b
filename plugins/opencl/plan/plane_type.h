// Quantised types in planes: the layout that kernels/types/*.h read and kernels/pack.cl writes.
#pragma once

#include "plugins/opencl/cl/failure.h"
#include "plugins/opencl/kernels/params.h"

#include <array>

namespace realizar::opencl {

struct PlaneType {
    rz_dtype dtype;
    const char *option;      // chooses the type in kernels/types/type.h
    uint32_t groups;         // of 32 elements in a block
    uint32_t block_bytes;    // in the canonical layout
    uint32_t plane_bytes[4]; // per block
};

// nullptr for types that stay as they are.
const PlaneType *plane_type(rz_dtype dtype);
// Bits of RZ_DTYPE_BIT.
uint64_t plane_types();

// Planes of `blocks` blocks, one behind the other.
struct PlaneLayout {
    PlaneLayout() = default;
    PlaneLayout(const PlaneType &type, uint64_t blocks);
    std::array<uint64_t, 4> offsets{};
    uint64_t bytes = 0;
};

// The planes from block `first` on, in memory that starts at `base`.
Planes planes_at(const PlaneType &type, const PlaneLayout &layout, uint64_t base, uint64_t first);

} // namespace realizar::opencl
