#include "core/format/mapping.h"

#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace realizar {
namespace {

const char *kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISCHR(mode)) return "a character device";
    if (S_ISBLK(mode)) return "a block device";
    if (S_ISSOCK(mode)) return "a socket";
    return "something else";
}

int64_t modified_ns(const struct stat &info) {
    return int64_t(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
}

std::string system_text(int number) { return std::strerror(number); }

} // namespace

Result<FileMapping> FileMapping::open(const std::filesystem::path &path) {
    FileMapping mapping;
    mapping.path_ = printable(path.native(), 4096);
    const char *label = mapping.path_.c_str();
    // Without O_NONBLOCK a FIFO without a writer would hang here.
    mapping.descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (mapping.descriptor_ < 0) {
        const int number = errno;
        return make_error(number == ENOENT || number == ENOTDIR ? Code::not_found : Code::io,
                          "open_failed", "%s: cannot open: %s", label, system_text(number).c_str());
    }
    struct stat info {};
    if (::fstat(mapping.descriptor_, &info) != 0)
        return make_error(Code::io, "open_failed", "%s: cannot stat: %s", label,
                          system_text(errno).c_str());
    if (!S_ISREG(info.st_mode))
        return make_error(Code::io, "not_a_regular_file", "%s: expected a regular file, found %s",
                          label, kind_of(info.st_mode));
    const auto size = static_cast<uint64_t>(info.st_size);
    if (size > kMaxBytes)
        return make_error(Code::unsupported, "file_too_large",
                          "%s: expected at most %" PRIu64 " bytes, found %" PRIu64, label,
                          kMaxBytes, size);
    mapping.device_ = info.st_dev;
    mapping.inode_ = info.st_ino;
    mapping.modified_ns_ = modified_ns(info);
    if (size == 0) return mapping; // mmap refuses a length of 0
    void *base = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, mapping.descriptor_, 0);
    if (base == MAP_FAILED)
        return make_error(Code::io, "map_failed", "%s: cannot map %" PRIu64 " bytes: %s", label,
                          size, system_text(errno).c_str());
    mapping.bytes_ = {static_cast<const std::byte *>(base), size};
    return mapping;
}

FileMapping::FileMapping(FileMapping &&other) noexcept { *this = std::move(other); }

FileMapping &FileMapping::operator=(FileMapping &&other) noexcept {
    if (this == &other) return *this;
    close();
    bytes_ = std::exchange(other.bytes_, {});
    path_ = std::move(other.path_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    device_ = other.device_;
    inode_ = other.inode_;
    modified_ns_ = other.modified_ns_;
    return *this;
}

FileMapping::~FileMapping() { close(); }

void FileMapping::close() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte *>(bytes_.data()), bytes_.size());
    if (descriptor_ >= 0) ::close(descriptor_);
    bytes_ = {};
    descriptor_ = -1;
}

Status FileMapping::verify_unchanged() const {
    if (descriptor_ < 0) return {};
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0)
        return make_error(Code::io, "open_failed", "%s: cannot stat: %s", path_.c_str(),
                          system_text(errno).c_str());
    if (static_cast<uint64_t>(info.st_size) != bytes_.size())
        return make_error(Code::io, "file_changed",
                          "%s: expected %zu bytes as when it was opened, found %" PRIu64,
                          path_.c_str(), bytes_.size(), static_cast<uint64_t>(info.st_size));
    if (info.st_dev != device_ || info.st_ino != inode_ || modified_ns(info) != modified_ns_)
        return make_error(
            Code::io, "file_changed",
            "%s: expected the file as it was when opened, found that it was written to",
            path_.c_str());
    return {};
}

void FileMapping::drop_pages(std::span<const std::byte> span) const {
    const auto address = [](const std::byte *p) { return reinterpret_cast<uintptr_t>(p); };
    const uintptr_t begin = address(span.data()), end = begin + span.size();
    const uintptr_t base = address(bytes_.data());
    if (span.empty() || begin < base || end > base + bytes_.size()) return;
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (first < last) ::madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
}

Result<std::string> read_small_file(const std::filesystem::path &path, uint64_t limit) {
    RZ_ASSIGN(const FileMapping mapping, FileMapping::open(path));
    const std::span<const std::byte> bytes = mapping.bytes();
    if (bytes.size() > limit)
        return make_error(Code::malformed, "file_too_large",
                          "%s: expected at most %" PRIu64 " bytes, found %zu",
                          printable(path.native(), 4096).c_str(), limit, bytes.size());
    std::string text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    RZ_TRY(mapping.verify_unchanged());
    return text;
}

} // namespace realizar
