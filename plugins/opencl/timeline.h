// A rising counter, kept on the host: failures travel with it, and it can wait for what is not yet
// submitted. All members under rz_device::mutex.
#pragma once

#include "plugins/opencl/device.h"

struct rz_timeline {
    rz_device &device;
    uint64_t value = 0;
    rz_code failure = RZ_OK;
    std::string message{};

    bool reached(uint64_t wanted) const { return failure == RZ_OK && value >= wanted; }
    void advance(uint64_t to);
    void fail(rz_code code, const std::string &why);
};

namespace realizar::opencl {
extern const rz_timeline_api kTimelineApi;
} // namespace realizar::opencl
