// A file that appears whole or not at all. Internal to core/format and core/engine.
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace realizar {

// Writes to a temporary file beside the target; finish() renames it into place. One that is given up,
// or fails, leaves nothing. Tag write_failed (Code::io).
class FileWriter {
  public:
    FileWriter() = default;
    ~FileWriter() { abandon(); }
    FileWriter(const FileWriter &) = delete;
    FileWriter &operator=(const FileWriter &) = delete;

    bool is_open() const { return descriptor_ >= 0; }
    Status create(const std::filesystem::path &path);
    Status write(std::span<const std::byte> bytes);
    Status pad(uint64_t zeros);
    Status finish();
    void abandon();

  private:
    Error failed(const char *what) const;

    std::filesystem::path path_, part_; // the target, and the temporary file beside it
    int descriptor_ = -1;
};

} // namespace realizar
