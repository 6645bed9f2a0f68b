// A compiled region: steps, constants and the layout of an instance's memory.
#pragma once

#include "plugins/vulkan/plan/layout.h"
#include "plugins/vulkan/weights.h"

struct rz_program {
    rz_device &device;
    realizar::vulkan::Region region{}; // with the scratch tensors of the steps
    std::vector<std::unique_ptr<realizar::vulkan::Step>> steps{};
    realizar::vulkan::Layout layout{};
    realizar::vulkan::Memory constants{};
    std::vector<std::byte> constant_bytes{};         // as they are at the start
    std::map<uint32_t, uint64_t> constant_offsets{}; // by storage
    std::map<uint32_t, uint64_t> table_offsets{};    // behind the inputs of an instance
    uint64_t table_bytes = 0;
    std::vector<realizar::vulkan::Place> weights{}; // by storage
    std::vector<bool> bucketed{};                   // symbols that only bound the keys of ATTENTION
    uint32_t tensor_count = 0;                      // of the graph
    uint32_t fused_nodes = 0;
    uint32_t dispatches = 0; // at the hints
    bool repeatable = true;  // a submission that broke off may run again: it only adds to caches

    uint64_t scratch_bytes() const {
        return layout.input_bytes + table_bytes + layout.scratch_bytes;
    }
    // The symbol values that a recording stands for: buckets where that is enough.
    void bucket(std::vector<int64_t> &symbols) const;
    // After a chain gave up: counters of kernels among the constants may be anything.
    void restore_constants();
};

namespace realizar::vulkan {
extern const rz_program_api kProgramApi;
} // namespace realizar::vulkan
