// Owning wrappers of the ABI's handles. Each object keeps what it was made from alive (a program
// its weights, an instance its program, all of them the device), so that handles die in the order
// the ABI demands whatever the order in the program. What is named later, in bind() and submit(),
// is not kept: bound buffers and timelines must outlive their use.
//
// Thread rules are those of backend.h; calls to [main-serial] functions are put one after another
// by the wrappers. Codes become Errors whose message starts with "<plugin id>: ". A plugin that
// says RZ_OK and gives no handle, or a nonsensical value, is Code::internal.
#pragma once

#include "core/common/result.h"
#include "core/plugin/registry.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace realizar {

class Device;
using DevicePtr = std::shared_ptr<Device>;

// rz_code + rz_error -> Error. `plugin` is the id used in the message. Tags: backend_unsupported,
// backend_unavailable, backend_out_of_memory, backend_busy, backend_timeout, backend_cancelled,
// backend_device_lost, backend_invalid_argument, backend_internal, backend_version_mismatch.
Error error_from_abi(rz_code code, const rz_error &error, const std::string &plugin);

class Driver {
  public:
    // `host` must outlive the driver.
    static Result<std::shared_ptr<Driver>> create(std::shared_ptr<const Plugin> plugin, Host &host);
    ~Driver();
    const Plugin &plugin() const { return *plugin_; }
    rz_driver *handle() const { return handle_; }
    // The strings of the infos are terminated, their ids not empty.
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
    // `depends` is kept alive until after destroy.
    Handle(DevicePtr device, H *handle, void (*destroy)(H *),
           std::shared_ptr<const void> depends = nullptr)
        : device_(device), handle_(handle, [device = std::move(device), destroy,
                                            depends = std::move(depends)](H *h) { destroy(h); }) {}
    Handle(Handle &&) noexcept = default;
    Handle &operator=(Handle &&) noexcept = default;
    H *get() const { return handle_.get(); }
    const DevicePtr &device() const { return device_; }
    explicit operator bool() const { return handle_ != nullptr; }

  protected:
    // What an object made from this one passes as `depends`.
    const std::shared_ptr<H> &shared() const { return handle_; }

  private:
    DevicePtr device_;
    std::shared_ptr<H> handle_;
    friend class Program;
    friend class Instance;
};

class Buffer : public Handle<rz_buffer> {
  public:
    using Handle::Handle;
    static Result<Buffer> create(const DevicePtr &device, uint64_t size);
    void *map() const; // nullptr if the host cannot see it
    Status write(uint64_t offset, std::span<const std::byte> data);
    Status read(uint64_t offset, std::span<std::byte> data) const;
    Status copy_from(uint64_t offset, const Buffer &from, uint64_t from_offset, uint64_t size);
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
    // On failure `failed_node`, if given, is the node that the plugin blames, else RZ_NONE.
    // `weights` may be moved afterwards.
    static Result<Program> compile(const DevicePtr &device, const rz_graph &graph,
                                   const Weights *weights, const rz_compile_options &options,
                                   uint32_t *failed_node = nullptr);
    Result<rz_program_info> info() const;
};

class Instance : public Handle<rz_instance> {
  public:
    using Handle::Handle;
    static Result<Instance> create(const Program &program);
    // The buffers must outlive the instance, or its next binding of the same tensors.
    Status bind(std::span<const rz_binding> bindings);
};

class Timeline : public Handle<rz_timeline> {
  public:
    using Handle::Handle;
    static Result<Timeline> create(const DevicePtr &device, uint64_t initial);
    Result<uint64_t> query() const;
    Status wait(uint64_t value, uint64_t timeout_ns) const;
    Result<bool> reached(uint64_t value) const; // without waiting
    Status signal(uint64_t value);
};

class Queue : public Handle<rz_queue> {
  public:
    using Handle::Handle;
    static Result<Queue> create(const DevicePtr &device);
    // Fills struct_size and strides itself.
    Status submit(rz_submit submission);
};

} // namespace realizar
