// The probe: a child process that loads one plugin and reports what it found.
//
// Protocol, on a pipe: a line {"stage": "device", "id", "version", ...} once the library is loaded
// and its entry has answered, then a line {"stage": "done", ...} with the whole record (record_json.h).
// A child that dies or stays silent too long is the plugin's fault.
#pragma once

#include "core/plugin/registry.h"

#include <chrono>
#include <filesystem>
#include <functional>

namespace realizar {

// In the child: loads the plugin into this process, creates its driver, opens every device. `loaded`
// is called after the entry has answered, with the identity filled in.
PluginRecord probe_here(const std::filesystem::path &plugin,
                        const std::function<void(const PluginRecord &)> &loaded);

// The report lines.
std::string probe_progress_line(const PluginRecord &record);
std::string probe_result_line(const PluginRecord &record);

struct ProbeOptions {
    std::filesystem::path program;
    std::chrono::milliseconds hello_timeout;  // until the first line: loading and entry
    std::chrono::milliseconds device_timeout; // from then to the end of the process
};

// In the parent: runs `program PLUGIN` and judges. Never fails: what goes wrong is the record's
// reason. Blocks for at most the two time limits. The child has its own process group, which is
// killed as a whole at the end, and no descriptor of this process but its three.
PluginRecord probe_in_child(const ProbeOptions &options, const std::filesystem::path &plugin);

} // namespace realizar
