// Owning wrappers of the ABI's handles. Each object keeps what it depends on alive, so that handles
// die in the order the ABI demands whatever the order in the program.
//
// Thread rules are those of backend.h. Codes become Errors whose message starts with
// "<plugin id>: ".
#pragma once

#include "core/common/result.h"
#include "core/plugin/registry.h"

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <string>
#include <vector>

namespace realizar {

class Device;
using DevicePtr = std::shared_ptr<Device>;

// rz_code + rz_error -> Error. `plugin` is the id used in the message.
Error error_from_abi(rz_code code, const rz_error &error, const std::string &plugin);

class Driver {
  public:
    static Result<std::shared_ptr<Driver>> create(std::shared_ptr<const Plugin> plugin, Host &host);
    ~Driver();
    const Plugin &plugin() const { return *plugin_; }
    rz_driver *handle() const { return handle_; }
    Result<std::vector<rz_device_info>> enumerate() const;

  private:
    Driver() = default;
    std::shared_ptr<const Plugin> plugin_;
    rz_driver *handle_ = nullptr;
};

class Device {
  public:
    static Result<DevicePtr> open(std::shared_ptr<Driver> driver, uint32_t index);
    ~Device();
    const rz_plugin &api() const { return driver_->plugin().table(); }
    rz_device *handle() const { return handle_; }
    const rz_device_info &info() const { return info_; }
    std::string label() const; // "cpu:0"

    Result<std::vector<rz_capability>> capabilities() const;
    Result<std::vector<uint8_t>> classify(const rz_graph &graph) const; // RZ_NODE_* per node
    Result<rz_counters> counters() const;

  private:
    Device() = default;
    std::shared_ptr<Driver> driver_;
    rz_device *handle_ = nullptr;
    rz_device_info info_{};
};

// Common shape of the owned handles below: move-only, knows its device.
template <class H>
class Handle {
  public:
    Handle() = default;
    Handle(DevicePtr device, H *handle, void (*destroy)(H *))
        : device_(std::move(device)), handle_(handle), destroy_(destroy) {}
    Handle(Handle &&other) noexcept { *this = std::move(other); }
    Handle &operator=(Handle &&other) noexcept {
        if (this != &other) {
            reset();
            device_ = std::move(other.device_);
            handle_ = std::exchange(other.handle_, nullptr);
            destroy_ = other.destroy_;
        }
        return *this;
    }
    ~Handle() { reset(); }
    H *get() const { return handle_; }
    const DevicePtr &device() const { return device_; }
    explicit operator bool() const { return handle_ != nullptr; }

  private:
    void reset() {
        if (handle_) destroy_(handle_);
        handle_ = nullptr;
        device_.reset();
    }
    DevicePtr device_;
    H *handle_ = nullptr;
    void (*destroy_)(H *) = nullptr;
};

class Buffer : public Handle<rz_buffer> {
  public:
    using Handle::Handle;
    static Result<Buffer> create(const DevicePtr &device, uint64_t size);
    void *map() const; // nullptr if the host cannot see it
    Status write(uint64_t offset, std::span<const std::byte> data);
    Status read(uint64_t offset, std::span<std::byte> data) const;
};

class Weights : public Handle<rz_weights> {
  public:
    using Handle::Handle;
    static Result<rz_weights_plan> plan(const DevicePtr &device, const rz_graph &graph);
    static Result<Weights> create(const DevicePtr &device, const rz_graph &graph, uint64_t budget);
    Status load(uint64_t key, uint64_t row_begin, uint64_t row_count,
                std::span<const std::byte> data, uint32_t flags);
    Status finish();
};

class Program : public Handle<rz_program> {
  public:
    using Handle::Handle;
    static Result<Program> compile(const DevicePtr &device, const rz_graph &graph,
                                   const Weights *weights, const rz_compile_options &options);
    Result<rz_program_info> info() const;
};

class Instance : public Handle<rz_instance> {
  public:
    using Handle::Handle;
    static Result<Instance> create(const Program &program);
    Status bind(std::span<const rz_binding> bindings);
};

class Timeline : public Handle<rz_timeline> {
  public:
    using Handle::Handle;
    static Result<Timeline> create(const DevicePtr &device, uint64_t initial);
    Result<uint64_t> query() const;
    Status wait(uint64_t value, uint64_t timeout_ns) const;
    Status signal(uint64_t value);
};

class Queue : public Handle<rz_queue> {
  public:
    using Handle::Handle;
    static Result<Queue> create(const DevicePtr &device);
    // Fills struct_size and strides itself.
    Status submit(rz_submit submit);
};

} // namespace realizar
