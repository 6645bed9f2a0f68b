// What a shared library says about itself, read from the file as data: the plugin's note and the
// names that it exports. None of its code runs.
//
// The file is untrusted: every offset, count and size is checked against the file's size, and no
// more than kMaxTable bytes of it are read at a time. (Boost.DLL's library_info would be the natural
// tool for the names, but in Boost 1.74 it reads .symtab, which stripped libraries lack, and follows
// name offsets without a check.)
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace realizar {

// Random access to untrusted bytes.
class ByteSource {
  public:
    virtual ~ByteSource() = default;
    virtual uint64_t size() const = 0;
    // Fills `out` from `offset`; false if the range is not inside the source or cannot be read.
    virtual bool read(uint64_t offset, std::span<std::byte> out) const = 0;
};

class MemorySource final : public ByteSource {
  public:
    explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
    uint64_t size() const override { return bytes_.size(); }
    bool read(uint64_t offset, std::span<std::byte> out) const override;

  private:
    std::span<const std::byte> bytes_;
};

// Bytes of an open file, up to the size it had when this was made. Borrows the descriptor.
class FileSource final : public ByteSource {
  public:
    FileSource(int fd, uint64_t size) : fd_(fd), size_(size) {}
    uint64_t size() const override { return size_; }
    bool read(uint64_t offset, std::span<std::byte> out) const override;

  private:
    int fd_;
    uint64_t size_;
};

// Contents of the rz_plugin_note.
struct PluginNote {
    uint32_t abi_major = 0;
    uint32_t abi_minor = 0;
    uint64_t abi_hash = 0;
    uint32_t sanitizer = 0;
};

struct ElfPlugin {
    PluginNote note;
    std::vector<std::string> exports; // names a program could bind to; at most kMaxExports of them
};

constexpr uint64_t kMaxTable = 16ull << 20; // bytes of one ELF table
constexpr size_t kMaxExports = 8;

// Tags: not_elf, wrong_machine (also 32 bits, other byte order), not_shared_library, bad_elf (an
// offset or size that does not fit the file), no_note, bad_note.
Result<ElfPlugin> inspect_elf(const ByteSource &file);

} // namespace realizar
