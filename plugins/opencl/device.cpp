#include "plugins/opencl/device.h"

#include "plugins/common/device.h"
#include "plugins/opencl/ops/op.h"
#include "plugins/opencl/queue.h"

#include <algorithm>

void rz_device::progress() {
    bool moved = true;
    while (moved) {
        moved = false;
        for (rz_queue *queue : queues)
            moved = queue->progress() || moved;
    }
}

void rz_device::wait(std::unique_lock<std::mutex> &lock, const rz_timeline *wanted,
                     uint64_t timeout_ns) {
    // Another queue's work may have to end first, so a look at one queue is short unless it is the
    // one that signals.
    constexpr uint64_t kGlance = 1'000'000, kLook = 100'000'000;
    const rz_queue *best = nullptr;
    bool signals = false;
    for (const rz_queue *queue : queues) {
        if (!queue->running() || signals) continue;
        best = queue;
        signals = queue->signals(wanted);
    }
    if (!best) {
        changed.wait_for(lock, std::chrono::nanoseconds(std::min(timeout_ns, kLook)));
        return;
    }
    const auto watched = best->watched();
    lock.unlock();
    try {
        gpu.wait(*watched, signals ? timeout_ns : std::min(timeout_ns, kGlance));
    } catch (const realizar::opencl::Failure &) {
        // progress() meets the same failure and delivers it to the submissions.
    }
    lock.lock();
}

namespace realizar::opencl {

namespace {

void close(rz_device *device) { delete device; }

rz_code capabilities(rz_device *device, rz_capability *rows, uint32_t stride, uint32_t *count,
                     rz_error *err) {
    if (!device || !count)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.capabilities: NULL argument");
    return plugin::list_capabilities(kCoverage, rows, stride, count, err);
}

rz_code classify(rz_device *device, const rz_graph *graph, uint8_t *states, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !states)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.classify: NULL argument");
        return plugin::classify_nodes(kCoverage, graph, states, err);
    });
}

rz_code counters(rz_device *device, rz_counters *out, rz_error *err) {
    if (!device) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.counters: NULL argument");
    return plugin::report_counters(device->gpu.counters(), out, err);
}

} // namespace

const rz_device_api kDeviceApi = {sizeof(rz_device_api), 0,        close,
                                  capabilities,          classify, counters};

} // namespace realizar::opencl
