// Where each storage of a program lives inside an instance's memory.
#pragma once

#include "plugins/vulkan/plan/step.h"

namespace realizar::vulkan {

struct Layout {
    // Bytes from the start; -1: elsewhere. By storage.
    std::vector<int64_t> inputs;  // in memory that the host writes
    std::vector<int64_t> scratch; // in memory of the device: outputs and temporaries
    uint64_t input_bytes = 0, scratch_bytes = 0;
};

// Temporaries share memory when no step uses both. `elsewhere`: storages that the program places
// itself (constants, tables).
Layout make_layout(const Region &region, const std::vector<std::unique_ptr<Step>> &steps,
                   const std::vector<bool> &elsewhere);

constexpr uint64_t kPlaceAlignment = 256;

} // namespace realizar::vulkan
