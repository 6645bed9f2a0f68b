#include "core/reference/plugin/objects.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>

namespace realizar::reference {

rz_code Timeline::wait(uint64_t target, uint64_t timeout_ns, rz_error *err) {
    std::unique_lock lock(mutex);
    const auto over = [&] { return failure != RZ_OK || value >= target; };
    // Clocks count nanoseconds in 63 bits; 2^62 of them are 146 years.
    constexpr uint64_t kLongest = uint64_t{1} << 62;
    const std::chrono::nanoseconds timeout(std::min(timeout_ns, kLongest));
    if (timeout_ns == UINT64_MAX)
        changed.wait(lock, over);
    else if (!changed.wait_for(lock, timeout, over))
        return fail(err, RZ_TIMEOUT,
                    "expected the timeline to reach %" PRIu64 " within %" PRIu64
                    " ns, found %" PRIu64,
                    target, timeout_ns, value);
    return failure == RZ_OK ? RZ_OK : fail(err, failure, "%s", message.c_str());
}

void Timeline::advance(uint64_t target) {
    const std::lock_guard lock(mutex);
    value = std::max(value, target);
    changed.notify_all(); // under the lock: whoever it wakes may destroy the timeline
}

void Timeline::fail_with(rz_code code, const char *text) {
    const std::lock_guard lock(mutex);
    if (failure != RZ_OK) return; // the first failure stays
    failure = code;
    message = text;
    changed.notify_all();
}

namespace {

rz_code create(rz_device *device, uint64_t initial, rz_timeline **out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(device, "device", err));
        RZ_CHECK(check_handle(out, "place for the timeline", err));
        auto timeline = std::make_unique<Timeline>();
        timeline->device = &object(device);
        timeline->value = initial;
        *out = handle(timeline.release());
        return RZ_OK;
    });
}

// The value reached; whether the timeline has failed is what wait tells.
rz_code query(rz_timeline *timeline, uint64_t *value, rz_error *err) {
    RZ_CHECK(check_handle(timeline, "timeline", err));
    RZ_CHECK(check_handle(value, "place for the value", err));
    Timeline &from = object(timeline);
    const std::lock_guard lock(from.mutex);
    *value = from.value;
    return RZ_OK;
}

rz_code wait(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(timeline, "timeline", err));
        return object(timeline).wait(value, timeout_ns, err);
    });
}

rz_code signal(rz_timeline *timeline, uint64_t value, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(timeline, "timeline", err));
        Timeline &to = object(timeline);
        const std::lock_guard lock(to.mutex);
        if (value <= to.value)
            return fail(err, RZ_INVALID_ARGUMENT,
                        "expected a value above %" PRIu64 ", found %" PRIu64, to.value, value);
        to.value = value;
        to.changed.notify_all();
        return RZ_OK;
    });
}

void destroy(rz_timeline *timeline) { destroy_object(timeline); }

} // namespace

const rz_timeline_api kTimelineApi = {
    sizeof(rz_timeline_api), 0, create, query, wait, signal, destroy};

} // namespace realizar::reference
