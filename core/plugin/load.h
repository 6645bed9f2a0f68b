// From a file or a table of function pointers to a Plugin that obeys the ABI's version rules.
#pragma once

#include "core/common/result.h"
#include "core/plugin/elf_file.h"
#include "core/plugin/registry.h"

#include <filesystem>

namespace realizar {

// Can this program work with a plugin built against that ABI? While the version is 0.x all of it must
// be equal. Tags: abi_version, abi_hash, sanitizer.
Status check_abi(const PluginNote &plugin);

// The static look: a bounded read of the file, check_abi on its note, and exactly one export, the
// entry. Tags of inspect_elf and check_abi, no_entry, extra_export, io.
Status look_at_plugin_file(const std::filesystem::path &path);

// What an error of the functions here, or of driver and device calls, makes of a plugin whose code
// has run.
PluginState state_after(const Error &error);

} // namespace realizar
