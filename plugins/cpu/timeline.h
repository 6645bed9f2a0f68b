// A rising counter that threads wait on.
#pragma once

#include "plugins/cpu/device.h"

#include <condition_variable>
#include <mutex>

struct rz_timeline {
    explicit rz_timeline(uint64_t initial) : value_(initial) {}

    uint64_t value() const;
    bool reached(uint64_t value) const;
    // RZ_OK at the value, RZ_TIMEOUT, or the failure that the timeline carries.
    rz_code wait(uint64_t value, uint64_t timeout_ns, rz_error *err);
    // From a submission: a lower value than the present one leaves it.
    void advance(uint64_t value);
    void fail(rz_code code, const std::string &message);
    // From the host: false if the value does not rise.
    bool signal(uint64_t value);

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t value_;
    rz_code failure_ = RZ_OK;
    std::string message_;
};

namespace realizar::cpu {
extern const rz_timeline_api kTimelineApi;
} // namespace realizar::cpu
