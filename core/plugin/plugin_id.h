// The names of plugins: [a-z0-9_]{1,32} (rz_plugin.id).
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace realizar {

constexpr size_t kMaxPluginId = 32;

// The built-in backend; no plugin may take this name.
constexpr std::string_view kReferenceId = "reference";

constexpr bool is_plugin_id(std::string_view id) {
    return !id.empty() && id.size() <= kMaxPluginId &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
           });
}

} // namespace realizar
