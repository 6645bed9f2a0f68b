// Plain device memory.
#pragma once

#include "plugins/vulkan/device.h"

struct rz_buffer {
    rz_device &device;
    realizar::vulkan::Memory memory;
    uint64_t size;
};

namespace realizar::vulkan {
extern const rz_buffer_api kBufferApi;
} // namespace realizar::vulkan
