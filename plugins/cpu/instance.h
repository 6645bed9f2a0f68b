// A program with memory.
#pragma once

#include "plugins/cpu/program.h"

#include <mutex>

struct rz_instance {
    rz_program &program;
    realizar::cpu::Memory memory;   // layout, then the scratch of each worker
    std::vector<std::byte *> bases; // by storage; null: a state that is not bound
    std::mutex running{};           // one submission at a time
};

namespace realizar::cpu {
extern const rz_instance_api kInstanceApi;
} // namespace realizar::cpu
