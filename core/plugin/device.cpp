#include "core/plugin/device.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

namespace realizar {

namespace {

// More than any machine has; a larger count is a plugin that forgot to set it.
constexpr uint32_t kMaxDevices = 256;
constexpr uint32_t kMaxCapabilities = 4096;

struct CodeRow {
    rz_code code;
    Code ours;
    const char *tag;
    const char *text;
};
constexpr CodeRow kCodes[] = {
    {RZ_UNSUPPORTED, Code::unsupported, "backend_unsupported", "not supported"},
    {RZ_UNAVAILABLE, Code::unavailable, "backend_unavailable", "no driver or device"},
    {RZ_OUT_OF_MEMORY, Code::out_of_memory, "backend_out_of_memory", "out of memory"},
    {RZ_BUSY, Code::unavailable, "backend_busy", "busy"},
    {RZ_TIMEOUT, Code::timeout, "backend_timeout", "the wait timed out"},
    {RZ_CANCELLED, Code::cancelled, "backend_cancelled", "cancelled"},
    {RZ_DEVICE_LOST, Code::device_lost, "backend_device_lost", "the device was lost"},
    {RZ_INVALID_ARGUMENT, Code::invalid_argument, "backend_invalid_argument", "invalid argument"},
    {RZ_INTERNAL, Code::internal, "backend_internal", "internal error"},
    {RZ_VERSION_MISMATCH, Code::unsupported, "backend_version_mismatch", "version mismatch"},
};

rz_error empty_error() {
    rz_error error{};
    error.struct_size = sizeof error;
    error.node = RZ_NONE;
    return error;
}

// Runs call(&err) and turns its code into a Status.
template <class F>
Status checked(const std::string &plugin, F &&call, uint32_t *failed_node = nullptr) {
    rz_error error = empty_error();
    const rz_code code = call(&error);
    if (failed_node) *failed_node = code == RZ_OK ? RZ_NONE : error.node;
    if (code == RZ_OK) return {};
    return error_from_abi(code, error, plugin);
}

Error no_handle(const std::string &plugin, const char *function) {
    return make_error(Code::internal, "backend_no_handle",
                      "%s: %s returned RZ_OK, expected a handle, found NULL", plugin.c_str(),
                      function);
}

// Calls create(&handle, &err) and owns what it gives.
template <class Owner, class H, class F>
Result<Owner> created(const DevicePtr &device, const char *function, void (*destroy)(H *),
                      F &&create, std::shared_ptr<const void> depends = nullptr,
                      uint32_t *failed_node = nullptr) {
    H *handle = nullptr;
    const std::string plugin = device->api().id;
    RZ_TRY(checked(
        plugin, [&](rz_error *error) { return create(&handle, error); }, failed_node));
    if (!handle) return no_handle(plugin, function);
    return Owner(device, handle, destroy, std::move(depends));
}

template <class H>
Status checked(const Handle<H> &handle, auto &&call) {
    return checked(std::string(handle.device()->api().id), call);
}

std::mutex &main_serial() {
    static std::mutex mutex;
    return mutex;
}

template <size_t N>
void terminate(char (&text)[N]) {
    text[N - 1] = '\0';
}

} // namespace

Error error_from_abi(rz_code code, const rz_error &error, const std::string &plugin) {
    const auto *row = std::find_if(std::begin(kCodes), std::end(kCodes),
                                   [&](const CodeRow &r) { return r.code == code; });
    std::string message(error.message, strnlen(error.message, sizeof error.message));
    message = printable(message, sizeof error.message);
    if (row == std::end(kCodes))
        return make_error(Code::internal, "backend_unknown_code",
                          "%s: expected an RZ_ code, found %d (%s)", plugin.c_str(), code,
                          message.c_str());
    if (message.empty()) message = row->text;
    if (error.node != RZ_NONE) message += " (node " + std::to_string(error.node) + ")";
    if (error.native_code != 0)
        message += " (driver code " + std::to_string(error.native_code) + ")";
    return Error{row->ours, row->tag, plugin + ": " + message};
}

Result<std::shared_ptr<Driver>> Driver::create(std::shared_ptr<const Plugin> plugin, Host &host) {
    const rz_plugin &api = plugin->table();
    std::shared_ptr<Driver> driver(new Driver);
    const std::lock_guard lock(main_serial());
    RZ_TRY(checked(plugin->id(), [&](rz_error *error) {
        return api.driver->create(host.table(plugin->id()), &driver->handle_, error);
    }));
    if (!driver->handle_) return no_handle(plugin->id(), "driver.create");
    driver->plugin_ = std::move(plugin);
    return driver;
}

Driver::~Driver() {
    if (!handle_) return;
    const std::lock_guard lock(main_serial());
    plugin_->table().driver->destroy(handle_);
}

Result<std::vector<rz_device_info>> Driver::enumerate() const {
    const std::lock_guard lock(main_serial());
    const auto ask = [&](rz_device_info *infos, uint32_t *count) {
        return checked(plugin_->id(), [&](rz_error *error) {
            return plugin_->table().driver->enumerate(handle_, infos, sizeof *infos, count, error);
        });
    };
    uint32_t count = 0;
    RZ_TRY(ask(nullptr, &count));
    if (count > kMaxDevices)
        return make_error(Code::internal, "bad_device_count",
                          "%s: expected at most %u devices, found %u", plugin_->id().c_str(),
                          kMaxDevices, count);
    std::vector<rz_device_info> infos(count);
    for (rz_device_info &info : infos)
        info.struct_size = sizeof info;
    // A device may come or go between the calls; those that did not fit are left out.
    if (count > 0) RZ_TRY(ask(infos.data(), &count));
    infos.resize(std::min<size_t>(count, infos.size()));
    for (rz_device_info &info : infos) {
        terminate(info.id);
        terminate(info.name);
        terminate(info.driver);
        terminate(info.isa);
        if (info.id[0] == '\0' || !std::has_single_bit(info.alignment))
            return make_error(Code::internal, "bad_device_info",
                              "%s: expected a device id and an alignment that is a power of two, "
                              "found '%s' and %llu",
                              plugin_->id().c_str(), printable(info.id).c_str(),
                              static_cast<unsigned long long>(info.alignment));
    }
    return infos;
}

Result<DevicePtr> Device::open(std::shared_ptr<Driver> driver, uint32_t index) {
    RZ_ASSIGN(const std::vector<rz_device_info> infos, driver->enumerate());
    const rz_plugin &api = driver->plugin().table();
    if (index >= infos.size())
        return make_error(Code::not_found, "no_device",
                          "%s: expected a device index below %zu, found %u", api.id, infos.size(),
                          index);
    std::shared_ptr<Device> device(new Device);
    {
        const std::lock_guard lock(main_serial());
        RZ_TRY(checked(std::string(api.id), [&](rz_error *error) {
            return api.driver->open(driver->handle(), index, &device->handle_, error);
        }));
    }
    if (!device->handle_) return no_handle(api.id, "driver.open");
    device->driver_ = std::move(driver);
    device->info_ = infos[index];
    return device;
}

Device::~Device() {
    if (handle_) api().device->close(handle_);
}

std::string Device::label() const { return std::string(api().id) + ":" + printable(info_.id); }

Result<std::vector<rz_capability>> Device::capabilities() const {
    const auto ask = [&](rz_capability *rows, uint32_t *count) {
        return checked(std::string(api().id), [&](rz_error *error) {
            return api().device->capabilities(handle_, rows, sizeof *rows, count, error);
        });
    };
    uint32_t count = 0;
    RZ_TRY(ask(nullptr, &count));
    if (count > kMaxCapabilities)
        return make_error(Code::internal, "bad_capability_count",
                          "%s: expected at most %u rows, found %u", api().id, kMaxCapabilities,
                          count);
    std::vector<rz_capability> rows(count);
    for (rz_capability &row : rows)
        row.struct_size = sizeof row;
    if (count > 0) RZ_TRY(ask(rows.data(), &count));
    rows.resize(std::min<size_t>(count, rows.size()));
    return rows;
}

Result<std::vector<uint8_t>> Device::classify(const rz_graph &graph) const {
    std::vector<uint8_t> states(graph.node_count, RZ_NODE_NO);
    RZ_TRY(checked(std::string(api().id), [&](rz_error *error) {
        return api().device->classify(handle_, &graph, states.data(), error);
    }));
    return states;
}

Result<rz_counters> Device::counters() const {
    rz_counters counters{};
    counters.struct_size = sizeof counters;
    RZ_TRY(checked(std::string(api().id), [&](rz_error *error) {
        return api().device->counters(handle_, &counters, error);
    }));
    return counters;
}

Result<Buffer> Buffer::create(const DevicePtr &device, uint64_t size) {
    const rz_buffer_api &api = *device->api().buffer;
    return created<Buffer>(device, "buffer.create", api.destroy,
                           [&](rz_buffer **out, rz_error *error) {
                               return api.create(device->handle(), size, out, error);
                           });
}

void *Buffer::map() const { return device()->api().buffer->map(get()); }

Status Buffer::write(uint64_t offset, std::span<const std::byte> data) {
    return checked(*this, [&](rz_error *error) {
        return device()->api().buffer->write(get(), offset, data.data(), data.size(), error);
    });
}

Status Buffer::read(uint64_t offset, std::span<std::byte> data) const {
    return checked(*this, [&](rz_error *error) {
        return device()->api().buffer->read(get(), offset, data.data(), data.size(), error);
    });
}

Status Buffer::copy_from(uint64_t offset, const Buffer &from, uint64_t from_offset, uint64_t size) {
    return checked(*this, [&](rz_error *error) {
        return device()->api().buffer->copy(get(), offset, from.get(), from_offset, size, error);
    });
}

Result<rz_weights_plan> Weights::plan(const DevicePtr &device, const rz_graph &graph) {
    rz_weights_plan plan{};
    plan.struct_size = sizeof plan;
    RZ_TRY(checked(std::string(device->api().id), [&](rz_error *error) {
        return device->api().weights->plan(device->handle(), &graph, &plan, error);
    }));
    return plan;
}

Result<Weights> Weights::create(const DevicePtr &device, const rz_graph &graph, uint64_t budget) {
    const rz_weights_api &api = *device->api().weights;
    return created<Weights>(device, "weights.create", api.destroy,
                            [&](rz_weights **out, rz_error *error) {
                                return api.create(device->handle(), &graph, budget, out, error);
                            });
}

Status Weights::load(uint64_t key, uint64_t row_begin, uint64_t row_count,
                     std::span<const std::byte> data, uint32_t flags) {
    return checked(*this, [&](rz_error *error) {
        return device()->api().weights->load(get(), key, row_begin, row_count, data.data(),
                                             data.size(), flags, error);
    });
}

Status Weights::finish() {
    return checked(*this,
                   [&](rz_error *error) { return device()->api().weights->finish(get(), error); });
}

Result<Program> Program::compile(const DevicePtr &device, const rz_graph &graph,
                                 const Weights *weights, const rz_compile_options &options,
                                 uint32_t *failed_node) {
    const rz_program_api &api = *device->api().program;
    rz_compile_options given = options;
    if (given.struct_size == 0) given.struct_size = sizeof given;
    return created<Program>(
        device, "program.compile", api.destroy,
        [&](rz_program **out, rz_error *error) {
            return api.compile(device->handle(), &graph, weights ? weights->get() : nullptr, &given,
                               out, error);
        },
        weights ? weights->shared() : nullptr, failed_node);
}

Result<rz_program_info> Program::info() const {
    rz_program_info info{};
    info.struct_size = sizeof info;
    RZ_TRY(checked(*this, [&](rz_error *error) {
        return device()->api().program->info(get(), &info, error);
    }));
    return info;
}

Result<Instance> Instance::create(const Program &program) {
    const rz_instance_api &api = *program.device()->api().instance;
    return created<Instance>(
        program.device(), "instance.create", api.destroy,
        [&](rz_instance **out, rz_error *error) { return api.create(program.get(), out, error); },
        program.shared());
}

Status Instance::bind(std::span<const rz_binding> bindings) {
    return checked(*this, [&](rz_error *error) {
        return device()->api().instance->bind(get(), bindings.data(), sizeof(rz_binding),
                                              static_cast<uint32_t>(bindings.size()), error);
    });
}

Result<Timeline> Timeline::create(const DevicePtr &device, uint64_t initial) {
    const rz_timeline_api &api = *device->api().timeline;
    return created<Timeline>(device, "timeline.create", api.destroy,
                             [&](rz_timeline **out, rz_error *error) {
                                 return api.create(device->handle(), initial, out, error);
                             });
}

Result<uint64_t> Timeline::query() const {
    uint64_t value = 0;
    RZ_TRY(checked(*this, [&](rz_error *error) {
        return device()->api().timeline->query(get(), &value, error);
    }));
    return value;
}

Status Timeline::wait(uint64_t value, uint64_t timeout_ns) const {
    return checked(*this, [&](rz_error *error) {
        return device()->api().timeline->wait(get(), value, timeout_ns, error);
    });
}

Result<bool> Timeline::reached(uint64_t value) const {
    rz_code code = RZ_OK;
    auto status = checked(*this, [&](rz_error *error) {
        code = device()->api().timeline->wait(get(), value, 0, error);
        return code == RZ_TIMEOUT ? RZ_OK : code;
    });
    if (!status.ok()) return std::move(status).error();
    return code == RZ_OK;
}

Status Timeline::signal(uint64_t value) {
    return checked(*this, [&](rz_error *error) {
        return device()->api().timeline->signal(get(), value, error);
    });
}

Result<Queue> Queue::create(const DevicePtr &device) {
    const rz_queue_api &api = *device->api().queue;
    return created<Queue>(
        device, "queue.create", api.destroy,
        [&](rz_queue **out, rz_error *error) { return api.create(device->handle(), out, error); });
}

Status Queue::submit(rz_submit submission) {
    submission.struct_size = sizeof submission;
    submission.update_stride = sizeof(rz_update);
    submission.read_stride = sizeof(rz_read);
    return checked(*this, [&](rz_error *error) {
        return device()->api().queue->submit(get(), &submission, error);
    });
}

} // namespace realizar
