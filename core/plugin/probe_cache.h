// Results of earlier probes, so that a start does not run every plugin in a child first.
//
// An entry holds as long as the file (path, device, inode, size, modification time), the probe
// program, the boot of the machine and the environment variables that steer drivers are the same. "broken"
// holds for ten minutes (a hanging plugin must not cost a minute at each start, a repaired system
// must not wait for ever); "unavailable" is never kept.
#pragma once

#include "core/plugin/file_checks.h"
#include "core/plugin/registry.h"

#include <filesystem>
#include <map>
#include <string>

namespace realizar {

class ProbeCache {
  public:
    // Reads the file; one that is missing, damaged, foreign or of another probe is an empty cache.
    // An empty path keeps nothing.
    ProbeCache(std::filesystem::path file, const std::filesystem::path &probe);

    const PluginRecord *find(const CheckedFile &plugin) const;
    void keep(const CheckedFile &plugin, const PluginRecord &record);
    // Writes the file if something was kept. A failure costs time at the next start, nothing else.
    void save() const;

  private:
    struct Entry {
        FileIdentity identity;
        int64_t probed = 0; // seconds since 1970
        PluginRecord record;
    };
    void read();

    std::filesystem::path file_;
    std::string setting_; // of probe, boot and environment
    std::map<std::string, Entry> entries_;
    bool changed_ = false;
};

} // namespace realizar
