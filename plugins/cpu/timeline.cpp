#include "plugins/cpu/timeline.h"

#include <algorithm>
#include <chrono>

uint64_t rz_timeline::value() const {
    const std::lock_guard lock(mutex_);
    return value_;
}

bool rz_timeline::reached(uint64_t value) const {
    const std::lock_guard lock(mutex_);
    return failure_ == RZ_OK && value_ >= value;
}

rz_code rz_timeline::wait(uint64_t value, uint64_t timeout_ns, rz_error *err) {
    std::unique_lock lock(mutex_);
    const auto over = [&] { return failure_ != RZ_OK || value_ >= value; };
    // A year and more is for ever; the clock's own range must not overflow.
    constexpr uint64_t year = uint64_t{365} * 24 * 3600 * 1'000'000'000;
    if (timeout_ns > year)
        changed_.wait(lock, over);
    else
        changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), over);
    if (failure_ != RZ_OK)
        return realizar::cpu::fail(err, failure_, RZ_NONE, "%s", message_.c_str());
    if (value_ >= value) return RZ_OK;
    return realizar::cpu::fail(
        err, RZ_TIMEOUT, RZ_NONE, "timeline: expected %llu within %llu ns, it is at %llu",
        static_cast<unsigned long long>(value), static_cast<unsigned long long>(timeout_ns),
        static_cast<unsigned long long>(value_));
}

void rz_timeline::advance(uint64_t value) {
    const std::lock_guard lock(mutex_);
    value_ = std::max(value_, value);
    changed_.notify_all();
}

void rz_timeline::fail(rz_code code, const std::string &message) {
    const std::lock_guard lock(mutex_);
    if (failure_ == RZ_OK) {
        failure_ = code;
        message_ = message;
    }
    changed_.notify_all();
}

bool rz_timeline::signal(uint64_t value) {
    const std::lock_guard lock(mutex_);
    if (value <= value_) return false;
    value_ = value;
    changed_.notify_all();
    return true;
}

namespace realizar::cpu {

namespace {

rz_code create(rz_device *device, uint64_t initial, rz_timeline **out, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.create: NULL argument");
        *out = new rz_timeline(initial);
        return RZ_OK;
    });
}

rz_code query(rz_timeline *timeline, uint64_t *value, rz_error *err) {
    if (!timeline || !value)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.query: NULL argument");
    *value = timeline->value();
    return RZ_OK;
}

rz_code wait(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns, rz_error *err) {
    if (!timeline) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.wait: NULL timeline");
    return timeline->wait(value, timeout_ns, err);
}

rz_code signal(rz_timeline *timeline, uint64_t value, rz_error *err) {
    if (!timeline) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "timeline.signal: NULL timeline");
    if (timeline->signal(value)) return RZ_OK;
    return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                "timeline.signal: expected a value above the present one, found %llu",
                static_cast<unsigned long long>(value));
}

void destroy(rz_timeline *timeline) { delete timeline; }

} // namespace

const rz_timeline_api kTimelineApi = {
    sizeof(rz_timeline_api), 0, create, query, wait, signal, destroy};

} // namespace realizar::cpu
