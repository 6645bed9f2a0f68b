// Whole small files of our own (caches): read with a bound, written atomically.
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace realizar {

// The bytes of a regular file that this user (or root) owns and nobody else may write. Not through
// a symbolic link at the last component. Errors: not_found, io, and malformed when it is larger
// than `limit` bytes.
Result<std::string> read_own_file(const std::filesystem::path &path, uint64_t limit);

// Writes a temporary file beside `path` (mode 0600) and renames it. Missing parent folders are made
// with mode 0700.
Status replace_file(const std::filesystem::path &path, std::string_view bytes);

// FNV-1a, 64 bits: for file names and accidental damage, not against an adversary.
uint64_t fnv1a(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ull);

} // namespace realizar
