// One open device, as the tests of levels 1 to 3 use it.
#pragma once

#include "tools/ctk/check.h"
#include "tools/ctk/host.h"
#include "tools/ctk/library.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace realizar::ctk {

// Longest wait for a submission. The time limit of the test ends a longer one.
inline constexpr uint64_t kWaitNs = 20'000'000'000ull;

class Session {
  public:
    // Opens the device with this index. No driver or device here is "unsupported".
    static Result<std::unique_ptr<Session>> open(const Library &library, uint32_t device);

    const rz_plugin &api() const { return *api_; }
    rz_driver *driver() const { return driver_.get(); }
    rz_device *device() const { return device_.get(); }
    const rz_device_info &info() const { return info_; }
    KitHost &host() { return *host_; }
    std::span<const rz_capability> capabilities() const { return capabilities_; }
    bool claims(uint32_t op, rz_dtype dtype) const;

    Result<Owned<rz_buffer>> buffer(uint64_t size);
    Result<Owned<rz_timeline>> timeline(uint64_t initial = 0);
    Result<Owned<rz_queue>> queue();

  private:
    Session() = default;
    std::unique_ptr<KitHost> host_;
    const rz_plugin *api_ = nullptr;
    Owned<rz_driver> driver_{nullptr, nullptr};
    Owned<rz_device> device_{nullptr, nullptr};
    rz_device_info info_{};
    std::vector<rz_capability> capabilities_;
};

// The two-call pattern, for rz_driver_api.enumerate and rz_device_api.capabilities.
Result<std::vector<rz_device_info>> enumerate(const rz_plugin &api, rz_driver *driver);
Result<std::vector<rz_capability>> read_capabilities(const rz_plugin &api, rz_device *device);

} // namespace realizar::ctk
