// The backends of a process, opened as they are needed, and the choice of devices to run on.
#pragma once

#include "core/plugin/device.h"
#include "core/plugin/host.h"
#include "core/plugin/registry.h"
#include "core/scheduler/candidates.h"

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
    // auto; the id of a plugin; several with commas; or all: every plugin with every device.
    std::string backend = "auto";
    std::string device;   // its id or number, perhaps as "backend:device"; empty: the first
    bool require = false; // no fallback to other devices
    // Devices ("vulkan:1") and plugins ("opencl") that are left alone.
    std::vector<std::string> deny = {};
    // Where several devices would do, only these ("cpu:0"), besides fallbacks; empty: all.
    std::vector<std::string> only = {};
};

struct DeviceChoice {
    std::vector<DevicePtr> devices; // the preferred one, then where what it cannot run may go
    // One sentence for each device that was tried and passed over.
    std::vector<std::string> notes;
    // Several devices may be better than the first alone, which only measuring can tell.
    bool compare = false;
};

// Owns registry, host and drivers, so it must outlive every device (and engine) that it gave out.
// Not thread-safe.
class Backends {
  public:
    static Result<std::unique_ptr<Backends>> open(BackendsOptions options);
    ~Backends();

    const Registry &registry() const { return *registry_; }
    Host &host() { return host_; }

    // The order of preference is GPU, accelerator, integrated GPU, CPU, and the built-in reference
    // last. A plugin's id takes its first ready device; "auto" and lists take all in that order, but
    // "auto" no device twice that two plugins see, one of several equal ones, and no other plugin's view
    // of the CPU where the CPU's own is ready. Fallbacks are the CPU and the reference.
    // Tags: no_backend, no_device (both list what there is), and what opening a named one gives.
    Result<DeviceChoice> choose(const DeviceRequest &request);
    // Which devices choose() would compare, and in which state of their software: the same text
    // for the same ones (device_identity()). Empty where there is nothing to compare. Opens none.
    std::string compared(const DeviceRequest &request) const;

    // Opens the backend that lends its threads to Host::parallel_for, if there is one.
    void open_pool();

  private:
    Backends(BackendsOptions options) : host_(std::move(options.host)) {}
    Candidates candidates(const std::string &backend, const std::vector<std::string> &deny) const;
    static void keep_only(Candidates &list, const std::vector<std::string> &labels);
    void add_fallbacks(const DeviceRequest &request, DeviceChoice &choice);
    Result<std::shared_ptr<Driver>> driver(const std::string &plugin);
    Result<DevicePtr> open_device(const Candidate &candidate);
    Status check_backend(const std::string &backend) const;

    Host host_;
    std::unique_ptr<Registry> registry_;
    std::map<std::string, std::shared_ptr<Driver>> drivers_; // by plugin id
};

} // namespace realizar
