// A regular file mapped read-only.
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace realizar {

// Move-only; the bytes stay at their address until destruction. The descriptor is kept, so a file
// that is replaced by rename, or unlinked, stays readable and unchanged; one that is written to or
// cut in place does not: verify_unchanged() tells, and reading pages past a new end raises SIGBUS.
// Const members may be called from any thread.
class FileMapping {
  public:
    // Regular files only, up to kMaxBytes. Never blocks on a FIFO or device.
    // Tags: open_failed, not_a_regular_file, file_too_large, map_failed.
    static Result<FileMapping> open(const std::filesystem::path &path);
    // Half of the user address space of x86-64, far above any model.
    static constexpr uint64_t kMaxBytes = uint64_t(1) << 46;

    FileMapping() = default; // maps nothing
    FileMapping(FileMapping &&other) noexcept;
    FileMapping &operator=(FileMapping &&other) noexcept;
    ~FileMapping();

    std::span<const std::byte> bytes() const { return bytes_; }
    // Device, inode, size and modification time against those at open(). Tag file_changed.
    // Costs one fstat.
    Status verify_unchanged() const;
    // Tells the kernel that the whole pages inside `span` will not be needed soon. They come back
    // from the file when touched again. Spans outside the mapping are ignored.
    void drop_pages(std::span<const std::byte> span) const;

  private:
    void close();

    std::span<const std::byte> bytes_;
    std::string path_;
    int descriptor_ = -1;
    uint64_t device_ = 0, inode_ = 0;
    int64_t modified_ns_ = 0;
};

// A regular file of at most `limit` bytes, copied. Tags as FileMapping::open().
Result<std::string> read_small_file(const std::filesystem::path &path, uint64_t limit);

} // namespace realizar
