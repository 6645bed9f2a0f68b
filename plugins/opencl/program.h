// A compiled region: steps, constants and the layout of an instance's memory.
#pragma once

#include "plugins/common/scratch.h"
#include "plugins/opencl/plan/step.h"
#include "plugins/opencl/weights.h"

struct rz_program {
    rz_device &device;
    realizar::opencl::Region region{}; // with the scratch tensors of the steps
    std::vector<realizar::opencl::Step> steps{};
    realizar::plugin::ScratchLayout layout{};
    realizar::opencl::Memory constants{};
    std::vector<realizar::opencl::Place> fixed{}; // by storage: weights and constants
    std::vector<bool> bucketed{};                 // symbols that only bound the keys of ATTENTION
    uint32_t tensor_count = 0;                    // of the graph
    uint32_t fused_nodes = 0;
    uint32_t launches = 0;   // at the hints
    uint64_t room_bytes = 0; // for CLBlast

    uint64_t scratch_bytes() const {
        return layout.input_bytes + layout.scratch_bytes + room_bytes;
    }
    // The symbol values that a recording stands for: buckets where that is enough.
    void bucket(std::vector<int64_t> &symbols) const;
};

namespace realizar::opencl {
extern const rz_program_api kProgramApi;
} // namespace realizar::opencl
