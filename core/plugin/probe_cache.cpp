#include "core/plugin/probe_cache.h"

#include "core/plugin/record_json.h"
#include "core/plugin/small_file.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string_view>
#include <vector>

#include <unistd.h>

extern char **environ;

namespace realizar {

namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr uint64_t kMaxFile = 4 << 20;
constexpr size_t kMaxEntries = 256;
constexpr int64_t kBrokenHolds = 600; // seconds

int64_t now() {
    using namespace std::chrono;
    return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

// The variables that choose or steer drivers begin with one of these.
constexpr std::string_view kSteering[] = {"REALIZAR_", "LD_",   "CUDA_",    "VK_",   "OCL_",
                                          "OPENCL_",   "POCL_", "GALLIUM_", "MESA_", "TBB_"};

uint64_t environment_hash() {
    std::vector<std::string_view> variables;
    for (char **variable = environ; variable && *variable; ++variable) {
        const std::string_view text = *variable;
        if (std::any_of(std::begin(kSteering), std::end(kSteering),
                        [&](std::string_view prefix) { return text.starts_with(prefix); }))
            variables.push_back(text);
    }
    std::sort(variables.begin(), variables.end());
    uint64_t hash = fnv1a("");
    for (const std::string_view variable : variables)
        hash = fnv1a(std::string_view("\0", 1), fnv1a(variable, hash));
    return hash;
}

std::string boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id;
}

std::string present_setting(const std::filesystem::path &probe) {
    char text[128];
    std::snprintf(text, sizeof text, "%u.%u %016llx sanitizer %u environment %016llx boot ",
                  RZ_ABI_MAJOR, RZ_ABI_MINOR, static_cast<unsigned long long>(RZ_ABI_HASH),
                  REALIZAR_SANITIZER_KIND, static_cast<unsigned long long>(environment_hash()));
    std::string setting = text + boot_id();
    // Another build of the probe may judge the same file in another way.
    const Result<FileIdentity> program = identify(probe);
    if (program.ok())
        setting +=
            " probe " + std::to_string(program->inode) + "/" + std::to_string(program->modified_ns);
    return setting;
}

json identity_to_json(const FileIdentity &identity) {
    return {identity.device, identity.inode, identity.size, identity.modified_ns};
}

bool identity_from_json(const json &list, FileIdentity &identity) {
    if (!list.is_array() || list.size() != 4) return false;
    for (const json &number : list)
        if (!number.is_number_integer()) return false;
    identity = {list[0].get<uint64_t>(), list[1].get<uint64_t>(), list[2].get<uint64_t>(),
                list[3].get<int64_t>()};
    return true;
}

} // namespace

ProbeCache::ProbeCache(std::filesystem::path file, const std::filesystem::path &probe)
    : file_(std::move(file)) {
    if (file_.empty()) return;
    setting_ = present_setting(probe);
    read();
}

void ProbeCache::read() {
    const Result<std::string> text = read_own_file(file_, kMaxFile);
    if (!text.ok()) return;
    const Result<json> document = parse_json(*text);
    if (!document.ok() || !document->is_object() || document->value("format", json()) != kFormat ||
        document->value("setting", json()) != setting_)
        return;
    const json entries = document->value("plugins", json::array());
    for (const json &item : entries) {
        if (entries_.size() == kMaxEntries) return;
        if (!item.is_object() || !item.contains("path") || !item.contains("identity") ||
            !item.contains("probed") || !item["path"].is_string() ||
            !item["probed"].is_number_integer())
            continue;
        Entry entry;
        entry.probed = item["probed"].get<int64_t>();
        if (!identity_from_json(item["identity"], entry.identity)) continue;
        Result<PluginRecord> record = record_from_json(item.value("record", json()));
        if (!record.ok()) continue;
        entry.record = std::move(*record);
        entry.record.path = item["path"].get<std::string>();
        entries_[entry.record.path.native()] = std::move(entry);
    }
}

const PluginRecord *ProbeCache::find(const CheckedFile &plugin) const {
    const auto found = entries_.find(plugin.path.native());
    if (found == entries_.end() || found->second.identity != plugin.identity) return nullptr;
    const Entry &entry = found->second;
    const int64_t age = now() - entry.probed;
    if (entry.record.state == PluginState::broken && (age < 0 || age > kBrokenHolds))
        return nullptr;
    return &entry.record;
}

void ProbeCache::keep(const CheckedFile &plugin, const PluginRecord &record) {
    if (file_.empty() || record.state == PluginState::unavailable) return;
    entries_[plugin.path.native()] = Entry{plugin.identity, now(), record};
    changed_ = true;
}

void ProbeCache::save() const {
    if (!changed_) return;
    json plugins = json::array();
    for (const auto &[path, entry] : entries_)
        plugins.push_back({{"path", path},
                           {"identity", identity_to_json(entry.identity)},
                           {"probed", entry.probed},
                           {"record", to_json(entry.record)}});
    const json document = {
        {"format", kFormat}, {"setting", setting_}, {"plugins", std::move(plugins)}};
    const Status written = replace_file(file_, dump_json(document));
    static_cast<void>(written);
}

} // namespace realizar
