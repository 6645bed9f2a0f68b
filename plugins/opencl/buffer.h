// Plain device memory.
#pragma once

#include "plugins/opencl/device.h"

struct rz_buffer {
    rz_device &device;
    realizar::opencl::Memory memory;
    uint64_t size;
};

namespace realizar::opencl {
extern const rz_buffer_api kBufferApi;
} // namespace realizar::opencl
