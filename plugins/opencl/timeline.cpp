#include "plugins/opencl/timeline.h"

#include <algorithm>
#include <chrono>

void rz_timeline::advance(uint64_t to) {
    value = std::max(value, to);
    device.changed.notify_all();
}

void rz_timeline::fail(rz_code code, const std::string &why) {
    if (failure == RZ_OK) {
        failure = code;
        message = why;
    }
    device.changed.notify_all();
}

namespace realizar::opencl {

namespace {

rz_code create(rz_device *device, uint64_t initial, rz_timeline **out, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.create: NULL argument");
        *out = new rz_timeline{*device, initial};
        return RZ_OK;
    });
}

rz_code query(rz_timeline *timeline, uint64_t *value, rz_error *err) {
    return guarded(err, [&] {
        if (!timeline || !value)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.query: NULL argument");
        const std::lock_guard lock(timeline->device.mutex);
        timeline->device.progress();
        *value = timeline->value;
        return RZ_OK;
    });
}

rz_code wait(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns, rz_error *err) {
    return guarded(err, [&] {
        if (!timeline)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.wait: NULL timeline");
        using Clock = std::chrono::steady_clock;
        const auto start = Clock::now();
        std::unique_lock lock(timeline->device.mutex);
        for (;;) {
            timeline->device.progress();
            if (timeline->failure != RZ_OK)
                return fail(err, timeline->failure, RZ_NONE, "%s", timeline->message.c_str());
            if (timeline->value >= value) return RZ_OK;
            const auto passed = static_cast<uint64_t>(
                std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
            if (passed >= timeout_ns)
                return fail(err, RZ_TIMEOUT, RZ_NONE,
                            "timeline: expected %llu within %llu ns, it is at %llu", wide(value),
                            wide(timeout_ns), wide(timeline->value));
            timeline->device.wait(lock, timeline, timeout_ns - passed);
        }
    });
}

rz_code signal(rz_timeline *timeline, uint64_t value, rz_error *err) {
    return guarded(err, [&] {
        if (!timeline)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.signal: NULL timeline");
        const std::lock_guard lock(timeline->device.mutex);
        timeline->device.progress();
        if (value <= timeline->value)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "timeline.signal: expected a value above %llu, found %llu",
                        wide(timeline->value), wide(value));
        timeline->advance(value);
        timeline->device.progress();
        return RZ_OK;
    });
}

void destroy(rz_timeline *timeline) { delete timeline; }

} // namespace

const rz_timeline_api kTimelineApi = {
    sizeof(rz_timeline_api), 0, create, query, wait, signal, destroy};

} // namespace realizar::opencl
