#include "core/plugin/registry.h"

#include "core/plugin/device.h"
#include "core/plugin/file_checks.h"
#include "core/plugin/load.h"
#include "core/plugin/plugin_id.h"
#include "core/plugin/probe.h"
#include "core/plugin/probe_cache.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

namespace realizar {

namespace fs = std::filesystem;

namespace {

// File names in a fixed order, so that of two plugins with one id always the same wins.
Result<std::vector<std::string>> plugin_names(const fs::path &folder) {
    std::error_code error;
    std::vector<std::string> names;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error))
        if (looks_like_plugin(entry->path().filename().native()))
            names.push_back(entry->path().filename().native());
    if (error)
        return make_error(Code::io, "io", "cannot list '%s': %s",
                          printable(folder.native(), 400).c_str(), error.message().c_str());
    std::sort(names.begin(), names.end());
    return names;
}

PluginRecord record_of(const fs::path &path, const Error &error) {
    PluginRecord record;
    record.path = path;
    record.state = state_after(error) == PluginState::incompatible ? PluginState::incompatible
                                                                   : PluginState::refused;
    record.reason = error.message;
    return record;
}

PluginRecord taken(PluginRecord record, const std::string &owner) {
    record.state = PluginState::refused;
    record.reason = "the id '" + record.id + "' is taken by " + owner;
    record.devices.clear();
    return record;
}

Result<PluginRecord> builtin_record() {
    RZ_ASSIGN(const auto plugin, builtin_plugin());
    PluginRecord record;
    record.id = plugin->table().id;
    record.version = plugin->table().version;
    record.vendor = plugin->table().vendor;
    record.build = plugin->table().build;
    record.license = plugin->table().license;
    Host host(HostOptions{.threads = 1, .cache_folder = {}, .log = {}});
    RZ_ASSIGN(const auto driver, Driver::create(plugin, host));
    RZ_ASSIGN(record.devices, driver->enumerate());
    record.state = PluginState::ready;
    return record;
}

} // namespace

struct Registry::State {
    RegistryOptions options;
    std::vector<CheckedFile> seen;             // in the order of the search
    std::map<std::string, CheckedFile> owners; // id -> the file that has it

    PluginRecord judge(const fs::path &folder, const std::string &name, ProbeCache &cache);
    PluginRecord probe(const CheckedFile &file, ProbeCache &cache) const;
    void scan_folder(const fs::path &folder, ProbeCache &cache, std::vector<PluginRecord> &records);

    std::mutex mutex; // guards loaded
    std::map<std::string, std::shared_ptr<const Plugin>> loaded;
};

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

PluginRecord Registry::State::probe(const CheckedFile &file, ProbeCache &cache) const {
    if (options.probe.empty()) return probe_here(file.path, nullptr);
    if (const PluginRecord *known = cache.find(file)) return *known;
    PluginRecord record =
        probe_in_child({options.probe, options.hello_timeout, options.device_timeout}, file.path);
    cache.keep(file, record);
    return record;
}

// One file through all checks, cheapest first; its code runs only after all the others were passed.
PluginRecord Registry::State::judge(const fs::path &folder, const std::string &name,
                                    ProbeCache &cache) {
    const fs::path path = folder / name;
    const Result<CheckedFile> file = check_plugin_file(folder, name);
    if (!file.ok()) return record_of(path, file.error());
    const auto twin = std::find_if(seen.begin(), seen.end(), [&](const CheckedFile &other) {
        return other.path == file->path || other.identity.same_file(file->identity);
    });
    if (twin != seen.end())
        return record_of(path,
                         make_error(Code::invalid_argument, "same_file", "the same file as '%s'",
                                    printable(twin->path.native(), 400).c_str()));
    seen.push_back(*file);
    const Status look = look_at_plugin_file(file->path);
    if (!look.ok()) return record_of(path, look.error());
    PluginRecord record = probe(*file, cache);
    record.path = path;
    if (record.id == kReferenceId) return taken(std::move(record), "the built-in backend");
    if (record.state != PluginState::ready) return record; // does not keep the id from a ready one
    const auto [owner, first] = owners.try_emplace(record.id, *file);
    if (first) return record;
    return taken(std::move(record), "'" + printable(owner->second.path.native(), 400) + "'");
}

void Registry::State::scan_folder(const fs::path &folder, ProbeCache &cache,
                                  std::vector<PluginRecord> &records) {
    const Result<fs::path> checked = check_plugin_folder(folder);
    if (!checked.ok()) {
        if (checked.error().code != Code::not_found)
            records.push_back(record_of(folder, checked.error()));
        return;
    }
    const Result<std::vector<std::string>> names = plugin_names(*checked);
    if (!names.ok()) {
        records.push_back(record_of(folder, names.error()));
        return;
    }
    for (const std::string &name : *names)
        records.push_back(judge(*checked, name, cache));
}

Result<std::unique_ptr<Registry>> Registry::scan(RegistryOptions options) {
    for (const fs::path &folder : options.folders)
        if (!folder.is_absolute())
            return make_error(Code::invalid_argument, "relative_folder",
                              "expected an absolute plugins folder, found '%s'",
                              printable(folder.native(), 400).c_str());
    std::unique_ptr<Registry> registry(new Registry);
    State &state = *registry->state_;
    state.options = std::move(options);
    std::vector<PluginRecord> &records = registry->records_;
    ProbeCache cache(state.options.probe_cache, state.options.probe);
    std::vector<fs::path> done;
    for (const fs::path &folder : state.options.folders) {
        std::error_code error;
        const fs::path real = fs::weakly_canonical(folder, error);
        if (std::find(done.begin(), done.end(), real) != done.end()) continue;
        done.push_back(real);
        state.scan_folder(folder, cache, records);
    }
    cache.save();
    // The owner of an id stands before others that claim it.
    const auto key = [](const PluginRecord &record) {
        return std::tuple(record.id.empty(), record.id, record.state, record.path);
    };
    std::sort(records.begin(), records.end(),
              [key](const PluginRecord &a, const PluginRecord &b) { return key(a) < key(b); });
    RZ_ASSIGN(PluginRecord builtin, builtin_record());
    records.push_back(std::move(builtin));
    return registry;
}

const PluginRecord *Registry::find(const std::string &id) const {
    if (id.empty()) return nullptr;
    if (id == kReferenceId) return &records_.back();
    const auto found = std::find_if(records_.begin(), records_.end(),
                                    [&](const PluginRecord &r) { return r.id == id; });
    return found == records_.end() ? nullptr : &*found;
}

Result<std::shared_ptr<const Plugin>> Registry::load(const std::string &id) {
    const PluginRecord *record = find(id);
    if (!record)
        return make_error(Code::not_found, "no_plugin", "there is no plugin '%s'",
                          printable(id).c_str());
    if (record->state != PluginState::ready)
        return make_error(Code::unavailable, "plugin_not_ready", "plugin '%s' is %s: %s",
                          id.c_str(), plugin_state_name(record->state), record->reason.c_str());
    if (record->path.empty()) return builtin_plugin();
    const std::lock_guard lock(state_->mutex);
    std::shared_ptr<const Plugin> &plugin = state_->loaded[id];
    if (plugin) return plugin;
    const CheckedFile &file = state_->owners.at(id);
    const Result<FileIdentity> now = identify(file.path);
    if (!now.ok() || *now != file.identity)
        return make_error(Code::unavailable, "plugin_changed",
                          "'%s' has changed since it was probed: scan again",
                          printable(file.path.native(), 400).c_str());
    RZ_ASSIGN(std::shared_ptr<const Plugin> library, load_plugin_file(file.path));
    if (library->id() != id)
        return make_error(Code::internal, "plugin_changed",
                          "'%s': expected the id '%s' as in the probe, found '%s'",
                          printable(file.path.native(), 400).c_str(), id.c_str(),
                          library->table().id);
    plugin = std::move(library);
    return plugin;
}

} // namespace realizar
