// A device: its memory and programs, and the submissions that are under way.
#pragma once

#include "plugins/opencl/cl/gpu.h"
#include "plugins/opencl/driver.h"

#include <condition_variable>

struct rz_device {
    rz_device(rz_driver &driver, const realizar::opencl::Physical &physical)
        : gpu(driver.host, driver.settings, driver.api, physical) {}

    // Under `mutex`: takes in what the device has finished (reads, signals) and starts what can
    // start. Nothing else does, so whoever waits calls it again and again; there is no thread.
    void progress();
    // Under `lock`: waits until something may have changed, at most `timeout_ns`. `wanted`: the
    // timeline whose submission is worth watching closely.
    void wait(std::unique_lock<std::mutex> &lock, const rz_timeline *wanted, uint64_t timeout_ns);

    realizar::opencl::Gpu gpu;
    std::mutex mutex;                // of everything below, and of all queues and timelines
    std::condition_variable changed; // a timeline, or the start of a submission
    std::vector<rz_queue *> queues;
};

namespace realizar::opencl {
extern const rz_device_api kDeviceApi;
} // namespace realizar::opencl
