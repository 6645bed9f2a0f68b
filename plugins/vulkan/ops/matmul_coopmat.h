// MATMUL with cooperative matrices, for submissions with many rows of x.
#pragma once

#include "plugins/vulkan/plan/planner.h"

#include <optional>

namespace realizar::vulkan {

// x in F16: rows of `stride` elements, and behind all of them a factor for each row.
struct HalfRows {
    View memory;
    uint64_t scales; // offset in `memory`
    uint32_t stride;
};

// Plans the step that makes x for matrices like w, once for all that take it; none where no submission
// would use it.
std::optional<HalfRows> plan_half_rows(Planner &planner, const Matrix &w, uint32_t tensor);

struct CoopmatMatmul {
    const Matrix &w;
    const HalfRows &x;
    uint64_t y, add; // addresses
    uint32_t k, n, rows, add_stride;
};

// Dispatches it. False, and nothing is dispatched, where w does not lie as the kernel reads it.
bool record_matmul_coopmat(Recorder &r, const CoopmatMatmul &matmul);

} // namespace realizar::vulkan
