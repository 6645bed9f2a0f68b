// A plugins folder of its own for a test, removed at the end.
#pragma once

#include "core/plugin/registry.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <sys/stat.h>

namespace realizar::test {

namespace fs = std::filesystem;

inline fs::path built_plugin(const std::string &name) {
    return fs::path(REALIZAR_BINARY_DIR) / "tests" / "bad_plugins" / (name + ".so");
}

inline fs::path probe_program() { return fs::path(REALIZAR_BINARY_DIR) / "bin" / "realizar-probe"; }

inline std::string bytes_of(const fs::path &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class PluginFolder {
  public:
    PluginFolder() {
        std::string name = (fs::path(::testing::TempDir()) / "realizar_plugins_XXXXXX").native();
        path_ = ::mkdtemp(name.data());
        // A temporary folder may be reached through a link; records have real paths.
        path_ = fs::canonical(path_);
    }
    ~PluginFolder() {
        ::chmod(path_.c_str(), 0700);
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    PluginFolder(const PluginFolder &) = delete;
    PluginFolder &operator=(const PluginFolder &) = delete;

    const fs::path &path() const { return path_; }

    fs::path write(const std::string &name, std::string_view bytes, mode_t mode = 0755) const {
        std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), bytes.size());
        ::chmod((path_ / name).c_str(), mode);
        return path_ / name;
    }
    // A copy of a plugin that the build made.
    fs::path add(const std::string &variant, const std::string &name) const {
        return write(name, bytes_of(built_plugin(variant)));
    }

    RegistryOptions options() const {
        RegistryOptions options;
        options.folders = {path_};
        options.probe = probe_program();
        // Generous, because tests run on busy machines.
        options.hello_timeout = std::chrono::seconds(30);
        options.device_timeout = std::chrono::seconds(30);
        return options;
    }

  private:
    fs::path path_;
};

inline const PluginRecord *record_of(const Registry &registry, const fs::path &path) {
    for (const PluginRecord &record : registry.records())
        if (record.path == path) return &record;
    return nullptr;
}

} // namespace realizar::test
