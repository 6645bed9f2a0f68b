// The one device: the processor.
#pragma once

#include "plugins/cpu/driver.h"

struct rz_device {
    explicit rz_device(rz_driver &owner) : driver(owner) {}

    rz_driver &driver;
    realizar::cpu::Counters counters;

    realizar::cpu::Memory allocate(uint64_t size) {
        return realizar::cpu::Memory(driver.host, counters, size);
    }
};

namespace realizar::cpu {
extern const rz_device_api kDeviceApi;
} // namespace realizar::cpu
