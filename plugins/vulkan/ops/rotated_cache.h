// Caches in Q4_0, whose rows are rotated (KV_WRITE in backend.h): queries are rotated likewise, and results
// back.
#pragma once

#include "plugins/vulkan/plan/planner.h"

namespace realizar::vulkan {

// Elements that are rotated together in rows of `inner`, a multiple of 32.
inline uint32_t rotated_run(uint32_t inner) { return inner % 64 == 0 ? 64 : 32; }

// y = x with all rows rotated, which is also the way back; y is contiguous.
void plan_hadamard(Planner &planner, const View &x, const View &y);

} // namespace realizar::vulkan
