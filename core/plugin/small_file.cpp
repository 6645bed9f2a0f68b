#include "core/plugin/small_file.h"

#include "core/plugin/unique_fd.h"

#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace realizar {

namespace {

Error os_error(const char *what, const std::filesystem::path &path) {
    const int number = errno;
    return make_error(number == ENOENT ? Code::not_found : Code::io, "file", "cannot %s '%s': %s",
                      what, printable(path.native(), 400).c_str(), std::strerror(number));
}

Status make_folders(const std::filesystem::path &folder) {
    if (folder.empty() || ::access(folder.c_str(), F_OK) == 0) return {};
    RZ_TRY(make_folders(folder.parent_path()));
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return os_error("make", folder);
    return {};
}

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

} // namespace

Result<std::string> read_own_file(const std::filesystem::path &path, uint64_t limit) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return os_error("read", path);
    const bool ours = info.st_uid == 0 || info.st_uid == ::geteuid();
    if (!S_ISREG(info.st_mode) || !ours || (info.st_mode & (S_IWGRP | S_IWOTH)))
        return make_error(Code::io, "file",
                          "'%s': expected a regular file that only its owner may "
                          "write",
                          printable(path.native(), 400).c_str());
    if (static_cast<uint64_t>(info.st_size) > limit)
        return make_error(Code::malformed, "file", "'%s': expected at most %llu bytes, found %llu",
                          printable(path.native(), 400).c_str(),
                          static_cast<unsigned long long>(limit),
                          static_cast<unsigned long long>(info.st_size));
    std::string bytes(static_cast<size_t>(info.st_size), '\0');
    size_t filled = 0;
    while (filled < bytes.size()) {
        const ssize_t count = ::read(fd.get(), bytes.data() + filled, bytes.size() - filled);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return os_error("read", path);
        if (count == 0) break;
        filled += static_cast<size_t>(count);
    }
    bytes.resize(filled);
    return bytes;
}

Status replace_file(const std::filesystem::path &path, std::string_view bytes) {
    RZ_TRY(make_folders(path.parent_path()));
    std::string name = path.native() + ".XXXXXX";
    const UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd) return os_error("write", path);
    if (!write_all(fd.get(), bytes) || ::rename(name.c_str(), path.c_str()) != 0) {
        Error error = os_error("write", path);
        ::unlink(name.c_str());
        return error;
    }
    return {};
}

uint64_t fnv1a(std::string_view bytes, uint64_t seed) {
    for (const char c : bytes) {
        seed ^= static_cast<uint8_t>(c);
        seed *= 0x100000001b3ull;
    }
    return seed;
}

} // namespace realizar
