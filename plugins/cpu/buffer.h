// Plain host memory.
#pragma once

#include "plugins/cpu/device.h"

struct rz_buffer {
    rz_device &device;
    realizar::cpu::Memory memory;
    uint64_t size;
};

namespace realizar::cpu {
extern const rz_buffer_api kBufferApi;
} // namespace realizar::cpu
