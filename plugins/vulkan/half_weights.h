// Copies of quantised matrices in F16 for prompts, where the device has memory to spare and matrices of
// workgroups, which want their operands ready in memory. (Kernels for matrices of subgroups gain nothing:
// they decode weights while they wait for memory.)
#pragma once

#include "plugins/common/region.h"
#include "plugins/vulkan/vk/memory.h"

struct rz_weights;

namespace realizar::vulkan {

// Rows of x and of w that the kernels may read behind the last (their largest tile).
constexpr uint32_t kHalfTile = 256;
// Elements of a row come in multiples of this.
constexpr uint32_t kHalfDepth = 64;

// Makes the copies that MATMULs of `region` with many rows of x will use, as far as there are none yet.
// All or nothing: they take at most a quarter of the device's free memory, and no more than the budget
// of `set` leaves.
void make_half_weights(rz_weights &set, const plugin::Region &region);

} // namespace realizar::vulkan
