// Finding, judging and loading plugins.
//
// A plugin goes through: file checks (owner, mode, kind) -> its ELF note, read as data -> the
// static look with Boost.DLL (one entry symbol) -> a probe in a child process with time limits ->
// loading. Whatever is wrong with it costs one record with a reason, never the process.
#pragma once

#include "core/common/result.h"
#include "core/plugin/host.h"
#include "realizar/backend.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace realizar {

enum class PluginState {
    ready,        // probed well; at least one device
    unavailable,  // sound, but no driver or device here (reason from the plugin)
    refused,      // failed a check before any of its code ran
    incompatible, // other ABI version, hash or sanitizer
    broken,       // failed, crashed or hung in the probe
};
const char *plugin_state_name(PluginState state);

struct PluginRecord {
    std::filesystem::path path;                      // empty for the built-in reference backend
    std::string id, version, vendor, build, license; // empty until its entry has run
    PluginState state = PluginState::refused;
    std::string reason; // one sentence when not ready
    std::vector<rz_device_info> devices;
};

struct RegistryOptions {
    // Absolute folders, searched in order; of plugins with one id the first that is ready wins.
    std::vector<std::filesystem::path> folders;
    // The probe program; empty: load without a probe, in this process (for tests).
    std::filesystem::path probe;
    std::chrono::milliseconds hello_timeout{2000};
    std::chrono::milliseconds device_timeout{60000};
    // Results of earlier probes by file identity; empty: none kept.
    std::filesystem::path probe_cache;
};

// plugins/ beside the running program (or ../lib/realizar/plugins of an installed tree), then the
// absolute folders of $REALIZAR_PLUGIN_PATH, which is ignored in setuid programs.
RegistryOptions default_registry_options();

// A loaded library, or the built-in one. Never unloaded before the process ends.
class Plugin {
  public:
    // Checks the table: version, struct sizes, required flags, no NULL function or string, id.
    // `table` must stay valid for ever. Tags: abi_version, abi_hash, bad_table, bad_id.
    static Result<std::shared_ptr<const Plugin>> from_table(const rz_plugin *table);

    const rz_plugin &table() const { return *table_; }
    std::string id() const { return table_->id; }

  private:
    explicit Plugin(const rz_plugin *table) : table_(table) {}
    const rz_plugin *table_;
};

// The built-in backend "reference" (core/reference).
Result<std::shared_ptr<const Plugin>> builtin_plugin();

class Registry {
  public:
    // Looks at all folders. A missing folder is skipped; one that may not be used (it is writable by
    // others, or cannot be read) is a record with the folder as its path. A relative folder is an
    // error. Files that do not end in .so are ignored.
    static Result<std::unique_ptr<Registry>> scan(RegistryOptions options);
    ~Registry();

    // Sorted by id, then those without an id by path; the built-in "reference" is last.
    const std::vector<PluginRecord> &records() const { return records_; }
    // The record that owns the id (of several files that claim it, the first that is ready); nullptr
    // if there is none.
    const PluginRecord *find(const std::string &id) const;

    // Loads the library of a ready plugin (once; later calls give the same object). Any thread.
    // Tags: no_plugin, plugin_not_ready, plugin_changed, and those of load_plugin_file.
    Result<std::shared_ptr<const Plugin>> load(const std::string &id);

  private:
    Registry();
    std::vector<PluginRecord> records_;
    struct State;
    std::unique_ptr<State> state_;
};

// Loads one library without a registry: note, entry, version negotiation. For the probe and the
// kit.
Result<std::shared_ptr<const Plugin>> load_plugin_file(const std::filesystem::path &path);

} // namespace realizar
