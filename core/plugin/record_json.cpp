#include "core/plugin/record_json.h"

#include "core/plugin/plugin_id.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace realizar {

namespace {

using nlohmann::json;

constexpr size_t kMaxText = 2048;
constexpr size_t kMaxDevices = 256;

constexpr PluginState kStates[] = {PluginState::ready, PluginState::unavailable,
                                   PluginState::refused, PluginState::incompatible,
                                   PluginState::broken};

std::string text_of(const json &object, const char *key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return {};
    return found->get_ref<const std::string &>().substr(0, kMaxText);
}

template <size_t N>
void read_text(const json &object, const char *key, char (&to)[N]) {
    const std::string text = text_of(object, key);
    std::memset(to, 0, N);
    std::memcpy(to, text.data(), std::min(text.size(), N - 1));
}

template <class T>
void read_number(const json &object, const char *key, T &to) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_unsigned()) return;
    const auto value = found->get<uint64_t>();
    if (value <= std::numeric_limits<T>::max()) to = static_cast<T>(value);
}

std::string hex(const uint8_t (&bytes)[16]) {
    char text[33];
    for (size_t i = 0; i < 16; ++i)
        std::snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return text;
}

void read_hex(const json &object, const char *key, uint8_t (&to)[16]) {
    const std::string text = text_of(object, key);
    if (text.size() != 32 || text.find_first_not_of("0123456789abcdef") != text.npos) return;
    for (size_t i = 0; i < 16; ++i)
        to[i] = static_cast<uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
}

json device_to_json(const rz_device_info &device) {
    return {{"id", printable(device.id, sizeof device.id)},
            {"name", printable(device.name, sizeof device.name)},
            {"driver", printable(device.driver, sizeof device.driver)},
            {"isa", printable(device.isa, sizeof device.isa)},
            {"kind", device.kind},
            {"caps", device.caps},
            {"memory_total", device.memory_total},
            {"memory_free", device.memory_free},
            {"max_allocation", device.max_allocation},
            {"alignment", device.alignment},
            {"uuid", hex(device.uuid)}};
}

rz_device_info device_from_json(const json &object) {
    rz_device_info device{};
    device.struct_size = sizeof device;
    read_text(object, "id", device.id);
    read_text(object, "name", device.name);
    read_text(object, "driver", device.driver);
    read_text(object, "isa", device.isa);
    read_number(object, "kind", device.kind);
    read_number(object, "caps", device.caps);
    read_number(object, "memory_total", device.memory_total);
    read_number(object, "memory_free", device.memory_free);
    read_number(object, "max_allocation", device.max_allocation);
    read_number(object, "alignment", device.alignment);
    read_hex(object, "uuid", device.uuid);
    return device;
}

} // namespace

json to_json(const PluginRecord &record) {
    json devices = json::array();
    for (const rz_device_info &device : record.devices)
        devices.push_back(device_to_json(device));
    return {{"id", record.id},           {"version", record.version},
            {"vendor", record.vendor},   {"build", record.build},
            {"license", record.license}, {"state", plugin_state_name(record.state)},
            {"reason", record.reason},   {"devices", std::move(devices)}};
}

Result<PluginRecord> record_from_json(const json &object) {
    const auto bad = [](const char *what) {
        return make_error(Code::malformed, "bad_record", "plugin record: expected %s", what);
    };
    if (!object.is_object()) return bad("an object");
    PluginRecord record;
    const std::string state = text_of(object, "state");
    const auto known = std::find_if(std::begin(kStates), std::end(kStates),
                                    [&](PluginState s) { return state == plugin_state_name(s); });
    if (known == std::end(kStates)) return bad("a known state");
    record.state = *known;
    record.id = text_of(object, "id");
    if (!record.id.empty() && !is_plugin_id(record.id)) return bad("a valid id");
    record.version = text_of(object, "version");
    record.vendor = text_of(object, "vendor");
    record.build = text_of(object, "build");
    record.license = text_of(object, "license");
    record.reason = text_of(object, "reason");
    const auto devices = object.find("devices");
    if (devices != object.end() && devices->is_array()) {
        if (devices->size() > kMaxDevices) return bad("at most 256 devices");
        for (const json &device : *devices)
            if (device.is_object()) record.devices.push_back(device_from_json(device));
    }
    if (record.state == PluginState::ready && (record.id.empty() || record.devices.empty()))
        return bad("an id and a device in a ready plugin");
    return record;
}

Result<json> parse_json(std::string_view text) {
    const auto shallow = [](int depth, json::parse_event_t, json &) {
        return depth <= kMaxJsonDepth;
    };
    constexpr bool kExceptions = false;
    json parsed = json::parse(text, shallow, kExceptions);
    if (parsed.is_discarded())
        return make_error(Code::malformed, "bad_json", "expected JSON, found '%s'",
                          printable(text).c_str());
    return parsed;
}

std::string dump_json(const json &object) {
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace realizar
