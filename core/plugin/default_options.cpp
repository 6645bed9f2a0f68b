#include "core/plugin/registry.h"

#include <cstdlib>
#include <string_view>
#include <utility>

namespace realizar {

namespace fs = std::filesystem;

namespace {

constexpr char kProbeName[] = "realizar-probe";

fs::path program_folder() {
    std::error_code error;
    return fs::read_symlink("/proc/self/exe", error).parent_path();
}

// secure_getenv: nothing from the environment in setuid programs.
fs::path path_from_environment(const char *name) {
    const char *value = ::secure_getenv(name);
    fs::path path = value ? value : "";
    return path.is_absolute() ? path : fs::path();
}

void add_search_path(std::vector<fs::path> &folders, const char *name) {
    const char *value = ::secure_getenv(name);
    std::string_view rest = value ? value : "";
    while (!rest.empty()) {
        const std::string_view entry = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
        if (fs::path(entry).is_absolute()) folders.emplace_back(entry);
    }
}

fs::path cache_folder() {
    if (fs::path cache = path_from_environment("XDG_CACHE_HOME"); !cache.empty())
        return cache / "realizar";
    const fs::path home = path_from_environment("HOME");
    return home.empty() ? fs::path() : home / ".cache" / "realizar";
}

} // namespace

RegistryOptions default_registry_options() {
    RegistryOptions options;
    const fs::path bin = program_folder();
    if (!bin.empty()) {
        options.folders = {(bin / ".." / "plugins").lexically_normal(),
                           (bin / REALIZAR_PLUGINS_FROM_BIN).lexically_normal()};
        options.probe = bin / kProbeName;
    }
    add_search_path(options.folders, "REALIZAR_PLUGIN_PATH");
    if (const fs::path cache = cache_folder(); !cache.empty())
        options.probe_cache = cache / "plugins.json";
    return options;
}

} // namespace realizar
