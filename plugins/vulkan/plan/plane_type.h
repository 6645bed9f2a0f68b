// Quantised types in planes: the layout that shaders/include/types/*.glsl read and pack.comp writes.
#pragma once

#include "plugins/vulkan/shaders/include/params.h"
#include "plugins/vulkan/vk/failure.h"

#include <array>

namespace realizar::vulkan {

struct PlaneType {
    rz_dtype dtype;
    const char *suffix;      // of the shaders
    uint32_t groups;         // of 32 elements in a block
    uint32_t block_bytes;    // in the canonical layout
    uint32_t plane_bytes[4]; // per block

    // Bytes that strides count in; blocks of an odd size lie at any byte.
    uint32_t unit() const { return block_bytes % 2 == 0 ? 2 : 1; }
};

// nullptr for types that stay as they are.
const PlaneType *plane_type(rz_dtype dtype);
uint64_t all_plane_types(); // RZ_DTYPE_BIT of each

// Planes of `blocks` blocks, one behind the other.
struct PlaneLayout {
    PlaneLayout(const PlaneType &type, uint64_t blocks);
    std::array<uint64_t, 4> offsets{};
    uint64_t bytes = 0;
};

// The planes from block `first` on, in memory that starts at `base`.
Planes planes_at(const PlaneType &type, const PlaneLayout &layout, uint64_t base, uint64_t first);

} // namespace realizar::vulkan
