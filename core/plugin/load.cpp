#include "core/plugin/load.h"

#include "core/plugin/device.h"
#include "core/plugin/file_checks.h"
#include "core/plugin/plugin_id.h"
#include "core/plugin/unique_fd.h"

#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>

#include <fcntl.h>

namespace realizar {

namespace {

namespace fs = std::filesystem;

const char *sanitizer_name(uint32_t kind) {
    switch (kind) {
    case RZ_SANITIZER_NONE: return "no sanitizer";
    case RZ_SANITIZER_ADDRESS: return "the address sanitizer";
    case RZ_SANITIZER_THREAD: return "the thread sanitizer";
    }
    return "an unknown sanitizer";
}

constexpr uint32_t kRequiredFlags = 0xffff; // none of them is defined yet

// A table of the ABI: struct_size, flags, then function pointers only.
template <class T>
Status check_functions(const T *table, const char *name) {
    constexpr size_t kHead = 2 * sizeof(uint32_t);
    constexpr size_t kCount = (sizeof(T) - kHead) / sizeof(void (*)());
    static_assert(kHead + kCount * sizeof(void (*)()) == sizeof(T));
    if (!table) return make_error(Code::internal, "bad_table", "table '%s' is NULL", name);
    if (table->struct_size < sizeof(T))
        return make_error(Code::internal, "bad_table",
                          "table '%s': expected struct_size of at least %zu, found %u", name,
                          sizeof(T), table->struct_size);
    if (table->flags & kRequiredFlags)
        return make_error(Code::unsupported, "bad_table",
                          "table '%s': expected no required flag, found 0x%x", name,
                          table->flags & kRequiredFlags);
    std::array<uintptr_t, kCount> functions;
    std::memcpy(functions.data(), reinterpret_cast<const std::byte *>(table) + kHead,
                sizeof functions);
    const auto null = std::find(functions.begin(), functions.end(), uintptr_t{0});
    if (null != functions.end())
        return make_error(Code::internal, "bad_table",
                          "table '%s': expected %zu functions, found NULL as number %td", name,
                          kCount, null - functions.begin() + 1);
    return {};
}

Status check_strings(const rz_plugin &plugin) {
    const struct {
        const char *name;
        const char *value;
    } strings[] = {{"id", plugin.id},
                   {"version", plugin.version},
                   {"vendor", plugin.vendor},
                   {"build", plugin.build},
                   {"license", plugin.license}};
    for (const auto &string : strings)
        if (!string.value)
            return make_error(Code::internal, "bad_table", "expected a text as %s, found NULL",
                              string.name);
    constexpr size_t kShown = kMaxPluginId + 1;
    const std::string_view id(plugin.id, strnlen(plugin.id, kShown));
    if (!is_plugin_id(id))
        return make_error(Code::internal, "bad_id",
                          "expected an id of 1 to %zu characters a-z, 0-9 and _, found '%s'",
                          kMaxPluginId, printable(id).c_str());
    return {};
}

Status check_table(const rz_plugin &plugin) {
    if (plugin.struct_size < sizeof(rz_plugin))
        return make_error(Code::internal, "bad_table",
                          "expected an rz_plugin of at least %zu bytes, found %u",
                          sizeof(rz_plugin), plugin.struct_size);
    // The sanitizer stands only in the note.
    RZ_TRY(
        check_abi({plugin.abi_major, plugin.abi_minor, plugin.abi_hash, REALIZAR_SANITIZER_KIND}));
    if (plugin.flags & kRequiredFlags)
        return make_error(Code::unsupported, "bad_table",
                          "rz_plugin: expected no required flag, found 0x%x",
                          plugin.flags & kRequiredFlags);
    RZ_TRY(check_strings(plugin));
    RZ_TRY(check_functions(plugin.driver, "driver"));
    RZ_TRY(check_functions(plugin.device, "device"));
    RZ_TRY(check_functions(plugin.buffer, "buffer"));
    RZ_TRY(check_functions(plugin.weights, "weights"));
    RZ_TRY(check_functions(plugin.program, "program"));
    RZ_TRY(check_functions(plugin.instance, "instance"));
    RZ_TRY(check_functions(plugin.queue, "queue"));
    RZ_TRY(check_functions(plugin.timeline, "timeline"));
    if (!plugin.get_extension)
        return make_error(Code::internal, "bad_table", "rz_plugin: get_extension is NULL");
    return {};
}

// Boost's text is "...(dlerror system message: TEXT): ..."; TEXT is what helps.
std::string reason_of(const std::exception &error) {
    const std::string_view text = error.what();
    constexpr std::string_view kBefore = "dlerror system message: ";
    const size_t begin = text.find(kBefore);
    const size_t end = text.rfind("): ");
    if (begin == text.npos || end == text.npos || end < begin) return printable(text, 400);
    return printable(text.substr(begin + kBefore.size(), end - begin - kBefore.size()), 400);
}

// Loaded libraries, kept for ever: code of a driver may still run in its threads or at exit.
rz_plugin_entry_fn load_library(const fs::path &path) {
    static std::mutex mutex;
    static auto *libraries = new std::vector<boost::dll::shared_library>;
    namespace dll = boost::dll;
    dll::shared_library library(path.native(),
                                dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    auto *entry = &library.get<std::remove_pointer_t<rz_plugin_entry_fn>>(RZ_ENTRY_NAME);
    const std::lock_guard lock(mutex);
    libraries->push_back(std::move(library));
    return entry;
}

Result<const rz_plugin *> call_entry(rz_plugin_entry_fn entry) {
    rz_hello hello{};
    hello.struct_size = sizeof hello;
    hello.abi_major = RZ_ABI_MAJOR;
    hello.abi_minor = RZ_ABI_MINOR;
    hello.abi_hash = RZ_ABI_HASH;
    hello.sanitizer = REALIZAR_SANITIZER_KIND;
    rz_error error{};
    error.struct_size = sizeof error;
    error.node = RZ_NONE;
    const rz_plugin *table = nullptr;
    rz_code code = RZ_OK;
    try {
        code = entry(&hello, &table, &error);
    } catch (...) { // against the contract; seen in the probe, where it costs nothing to look
        return make_error(Code::internal, "entry_threw",
                          RZ_ENTRY_NAME ": expected a code, found a C++ exception");
    }
    if (code != RZ_OK) return error_from_abi(code, error, RZ_ENTRY_NAME);
    if (!table)
        return make_error(Code::internal, "entry_null",
                          RZ_ENTRY_NAME " returned RZ_OK, expected a table, found NULL");
    return table;
}

} // namespace

Status check_abi(const PluginNote &plugin) {
    const bool unstable = RZ_ABI_MAJOR == 0u;
    if (plugin.abi_major != RZ_ABI_MAJOR || (unstable && plugin.abi_minor != RZ_ABI_MINOR)) {
        const bool newer = plugin.abi_major > RZ_ABI_MAJOR ||
                           (plugin.abi_major == RZ_ABI_MAJOR && plugin.abi_minor > RZ_ABI_MINOR);
        return make_error(Code::unsupported, "abi_version",
                          "expected backend ABI %u.%u, found %u.%u: the plugin is too %s",
                          RZ_ABI_MAJOR, RZ_ABI_MINOR, plugin.abi_major, plugin.abi_minor,
                          newer ? "new" : "old");
    }
    if (unstable && plugin.abi_hash != RZ_ABI_HASH)
        return make_error(Code::unsupported, "abi_hash",
                          "expected ABI hash %016llx, found %016llx: the plugin was built against "
                          "another backend.h (before 1.0 they must be equal)",
                          RZ_ABI_HASH, static_cast<unsigned long long>(plugin.abi_hash));
    if (plugin.sanitizer != REALIZAR_SANITIZER_KIND)
        return make_error(Code::unsupported, "sanitizer",
                          "expected a plugin built with %s as this program, found %s",
                          sanitizer_name(REALIZAR_SANITIZER_KIND),
                          sanitizer_name(plugin.sanitizer));
    return {};
}

Status look_at_plugin_file(const fs::path &path) {
    // O_NONBLOCK: should the name have become a pipe meanwhile, do not wait for a writer.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd)
        return make_error(errno == ENOENT ? Code::not_found : Code::io, "io",
                          "cannot open '%s': %s", printable(path.native(), 400).c_str(),
                          std::strerror(errno));
    RZ_ASSIGN(const FileIdentity identity, identify(fd.get()));
    RZ_ASSIGN(const ElfPlugin plugin, inspect_elf(FileSource(fd.get(), identity.size)));
    RZ_TRY(check_abi(plugin.note));
    const auto is_entry = [](const std::string &name) { return name == RZ_ENTRY_NAME; };
    if (std::none_of(plugin.exports.begin(), plugin.exports.end(), is_entry))
        return make_error(Code::malformed, "no_entry",
                          "expected one exported symbol, " RZ_ENTRY_NAME ", found %zu others",
                          plugin.exports.size());
    const auto extra = std::find_if_not(plugin.exports.begin(), plugin.exports.end(), is_entry);
    if (extra != plugin.exports.end())
        return make_error(Code::malformed, "extra_export",
                          "expected " RZ_ENTRY_NAME " as the only exported symbol, found '%s' too",
                          printable(*extra).c_str());
    return {};
}

Result<std::shared_ptr<const Plugin>> Plugin::from_table(const rz_plugin *table) {
    RZ_TRY(check_table(*table));
    return std::shared_ptr<const Plugin>(new Plugin(table));
}

Result<std::shared_ptr<const Plugin>> load_plugin_file(const fs::path &path) {
    std::error_code ignored;
    const fs::path absolute = fs::absolute(path, ignored);
    RZ_TRY(look_at_plugin_file(absolute));
    rz_plugin_entry_fn entry = nullptr;
    try {
        entry = load_library(absolute);
    } catch (const std::exception &error) {
        return make_error(Code::unsupported, "load_failed", "cannot load the library: %s",
                          reason_of(error).c_str());
    }
    RZ_ASSIGN(const rz_plugin *table, call_entry(entry));
    return Plugin::from_table(table);
}

PluginState state_after(const Error &error) {
    constexpr std::string_view kIncompatible[] = {"abi_version", "abi_hash", "sanitizer",
                                                  "backend_version_mismatch"};
    if (std::find(std::begin(kIncompatible), std::end(kIncompatible), error.tag) !=
        std::end(kIncompatible))
        return PluginState::incompatible;
    return error.code == Code::unavailable ? PluginState::unavailable : PluginState::broken;
}

} // namespace realizar
