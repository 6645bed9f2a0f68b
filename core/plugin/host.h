// The services that the core hands to plugins (rz_host of backend.h).
#pragma once

#include "core/common/result.h"
#include "realizar/backend.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace realizar {

struct HostOptions {
    uint32_t threads = 0; // compute threads for all plugins together; 0: the cores of this process
    // Where plugins keep compiled pipelines; empty: no cache. The folder is made when first used.
    std::filesystem::path cache_folder;
    // Called from any thread; must not throw. Empty: messages are dropped.
    std::function<void(uint32_t level, const std::string &plugin, const std::string &message)> log;
};

// One per process is enough; several may exist (tests). Outlives every driver that it was given to.
class Host {
  public:
    explicit Host(HostOptions options);
    ~Host();
    Host(const Host &) = delete;
    Host &operator=(const Host &) = delete;

    // The table for one plugin; lives as long as the Host. `plugin_id` labels log lines and keeps
    // the caches of plugins apart.
    const rz_host *table(const std::string &plugin_id);

    // Asks long plugin work (load, compile) to end with RZ_CANCELLED.
    void cancel(bool on);

    // Runs fn over [0, n); on the CPU plugin's threads once use_pool was called, else on the
    // caller.
    void parallel_for(uint64_t n, uint64_t grain, rz_range_fn fn, void *context);
    // Before the driver is destroyed: use_pool(nullptr, nullptr), with no parallel_for in flight.
    void use_pool(rz_driver *driver, const rz_ext_compute_pool *pool);

    uint32_t threads() const;
    // Bytes that plugins hold through rz_host.alloc now.
    uint64_t allocated() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace realizar
