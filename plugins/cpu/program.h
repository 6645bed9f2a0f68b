// A compiled region: steps in phases and the layout of an instance's memory.
#pragma once

#include "plugins/cpu/arena.h"
#include "plugins/cpu/weights.h"

struct rz_program {
    rz_device &device;
    realizar::cpu::Region region{}; // with the scratch tensors of the steps
    std::vector<std::unique_ptr<realizar::cpu::Step>> steps{};
    std::vector<realizar::cpu::Phase> phases{};
    realizar::cpu::Layout layout{};
    std::vector<const std::byte *> weights{};                  // by storage
    std::vector<const realizar::cpu::PackedLayout *> packed{}; // by storage; null: canonical
    uint64_t worker_bytes = 0;
    uint32_t tensor_count = 0; // of the graph
    uint32_t fused_nodes = 0;

    uint64_t scratch_bytes() const {
        return layout.bytes + worker_bytes * device.driver.pool.threads();
    }
};

namespace realizar::cpu {
extern const rz_program_api kProgramApi;
} // namespace realizar::cpu
