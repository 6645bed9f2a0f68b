// The backends of a process, opened as they are needed, and the choice of devices to run on.
#pragma once

#include "core/plugin/device.h"
#include "core/plugin/host.h"
#include "core/plugin/registry.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace realizar {

struct BackendsOptions {
    RegistryOptions registry;
    HostOptions host;
};

struct DeviceRequest {
    std::string backend = "auto"; // or the id of a plugin
    std::string device;           // its id or number, perhaps as "backend:device"; empty: the first
    bool require = false;         // no fallback to other devices
};

struct DeviceChoice {
    std::vector<DevicePtr> devices; // the chosen one, then where what it cannot run may go
    std::vector<std::string> notes; // one sentence for each device that was tried and passed over
};

// Owns registry, host and drivers, so it must outlive every device (and engine) that it gave out.
// Not thread-safe.
class Backends {
  public:
    static Result<std::unique_ptr<Backends>> open(BackendsOptions options);
    ~Backends();

    const Registry &registry() const { return *registry_; }
    Host &host() { return host_; }

    // "auto" takes the first ready device in the order GPU, accelerator, integrated GPU, CPU, and
    // the built-in reference last. Fallbacks are the CPU and the reference.
    // Tags: no_backend, no_device (both list what there is), and what opening a named one gives.
    Result<DeviceChoice> choose(const DeviceRequest &request);

    // Opens the backend that lends its threads to Host::parallel_for, if there is one.
    void open_pool();

  private:
    struct Candidate {
        std::string plugin;
        uint32_t index; // of the device
        uint32_t rank;  // lower is better for "auto"
        std::string id; // of the device
    };

    Backends(BackendsOptions options) : host_(std::move(options.host)) {}
    std::vector<Candidate> candidates(const std::string &backend) const;
    Result<std::shared_ptr<Driver>> driver(const std::string &plugin);
    Result<DevicePtr> open_device(const Candidate &candidate);
    Status check_backend(const std::string &backend) const;

    Host host_;
    std::unique_ptr<Registry> registry_;
    std::map<std::string, std::shared_ptr<Driver>> drivers_; // by plugin id
};

} // namespace realizar
