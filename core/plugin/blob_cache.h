// A folder of small files, one per key: what rz_host.cache_get and cache_put keep between runs.
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace realizar {

// Any thread. Files are replaced as a whole, so processes that share the folder never see half a
// blob. A file that is damaged, foreign or writable by others counts as absent.
class BlobCache {
  public:
    BlobCache() = default; // keeps nothing
    // Files go to `folder`/`plugin_id`, made at the first put. An empty folder or a plugin_id that
    // is no plain name ([a-z0-9_]{1,32}) gives a cache that keeps nothing.
    BlobCache(const std::filesystem::path &folder, const std::string &plugin_id);

    Result<std::vector<std::byte>> get(std::string_view key) const; // not_found
    Status put(std::string_view key, std::span<const std::byte> blob) const;

  private:
    std::filesystem::path file_of(std::string_view key) const;
    std::filesystem::path folder_;
};

} // namespace realizar
