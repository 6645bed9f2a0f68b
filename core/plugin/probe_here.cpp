#include "core/plugin/probe.h"

#include "core/plugin/device.h"
#include "core/plugin/host.h"
#include "core/plugin/load.h"
#include "core/plugin/record_json.h"

#include <cstring>

namespace realizar {

namespace {

void fail(PluginRecord &record, const Error &error) {
    record.state = state_after(error);
    record.reason = error.message;
}

std::string text_of(const char *text) {
    constexpr size_t kMaxText = 256;
    return printable(std::string_view(text, strnlen(text, kMaxText)), kMaxText);
}

void identify(PluginRecord &record, const rz_plugin &plugin) {
    record.id = plugin.id;
    record.version = text_of(plugin.version);
    record.vendor = text_of(plugin.vendor);
    record.build = text_of(plugin.build);
    record.license = text_of(plugin.license);
}

// Every device that a plugin lists must open: a list is a promise.
Status try_devices(const std::shared_ptr<const Plugin> &plugin, PluginRecord &record) {
    Host host(HostOptions{});
    RZ_ASSIGN(const std::shared_ptr<Driver> driver, Driver::create(plugin, host));
    RZ_ASSIGN(record.devices, driver->enumerate());
    if (record.devices.empty())
        return make_error(Code::unavailable, "no_device", "%s: the driver lists no device",
                          record.id.c_str());
    for (uint32_t i = 0; i < record.devices.size(); ++i) {
        RZ_ASSIGN(const DevicePtr device, Device::open(driver, i));
        RZ_ASSIGN(const std::vector<rz_capability> rows, device->capabilities());
    }
    return {};
}

} // namespace

PluginRecord probe_here(const std::filesystem::path &plugin,
                        const std::function<void(const PluginRecord &)> &loaded) {
    PluginRecord record;
    record.path = plugin;
    const Result<std::shared_ptr<const Plugin>> library = load_plugin_file(plugin);
    if (!library.ok()) {
        fail(record, library.error());
        return record;
    }
    identify(record, (*library)->table());
    if (loaded) loaded(record);
    const Status devices = try_devices(*library, record);
    record.state = PluginState::ready;
    if (!devices.ok()) {
        record.devices.clear();
        fail(record, devices.error());
    }
    return record;
}

std::string probe_progress_line(const PluginRecord &record) {
    nlohmann::json json = to_json(record);
    json["stage"] = "device";
    return dump_json(json) + "\n";
}

std::string probe_result_line(const PluginRecord &record) {
    nlohmann::json json = to_json(record);
    json["stage"] = "done";
    return dump_json(json) + "\n";
}

} // namespace realizar
