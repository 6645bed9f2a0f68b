#include "core/plugin/file_checks.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace realizar {

namespace {

namespace fs = std::filesystem;

std::string show(const fs::path &path) { return printable(path.native(), 1000); }

Error os_error(const fs::path &path) {
    const int number = errno;
    return make_error(number == ENOENT ? Code::not_found : Code::io,
                      number == ENOENT ? "not_found" : "io", "cannot look at '%s': %s",
                      show(path).c_str(), std::strerror(number));
}

// Is `group` the private group of `owner`: its primary group, of the same name, with no other
// member? Unknown users and groups are not.
bool private_group(gid_t group, uid_t owner) {
    constexpr size_t kBuffer = 64 << 10;
    std::vector<char> user_text(kBuffer), group_text(kBuffer);
    passwd user{};
    passwd *user_found = nullptr;
    ::group entry{};
    ::group *group_found = nullptr;
    if (::getpwuid_r(owner, &user, user_text.data(), kBuffer, &user_found) != 0 || !user_found ||
        ::getgrgid_r(group, &entry, group_text.data(), kBuffer, &group_found) != 0 || !group_found)
        return false;
    if (user.pw_gid != group || std::strcmp(user.pw_name, entry.gr_name) != 0) return false;
    for (char **member = entry.gr_mem; *member; ++member)
        if (std::strcmp(*member, user.pw_name) != 0) return false;
    return true;
}

Status check_owner_and_mode(const fs::path &path, const struct stat &info) {
    if (info.st_uid != 0 && info.st_uid != ::geteuid())
        return make_error(Code::invalid_argument, "foreign_owner",
                          "'%s': expected root or user %u as the owner, found user %u",
                          show(path).c_str(), static_cast<unsigned>(::geteuid()),
                          static_cast<unsigned>(info.st_uid));
    if (S_ISDIR(info.st_mode) && (info.st_mode & S_ISVTX)) return {};
    const bool group_may = (info.st_mode & S_IWGRP) && !private_group(info.st_gid, info.st_uid);
    if (group_may || (info.st_mode & S_IWOTH))
        return make_error(Code::invalid_argument, "writable_by_others",
                          "'%s': expected that only its owner may write, found mode %04o "
                          "(chmod go-w)",
                          show(path).c_str(), static_cast<unsigned>(info.st_mode & 07777));
    return {};
}

Result<fs::path> real_path(const fs::path &path) {
    const std::unique_ptr<char, void (*)(void *)> real(::realpath(path.c_str(), nullptr),
                                                       std::free);
    if (!real) return os_error(path);
    return fs::path(real.get());
}

const char *kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
    return "something else";
}

FileIdentity identity_of(const struct stat &info) {
    return {info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size),
            info.st_mtim.tv_sec * 1000000000ll + info.st_mtim.tv_nsec};
}

constexpr std::string_view kSuffix = ".so";
constexpr size_t kMaxName = 128;

bool good_name(const std::string &name) {
    return name.size() <= kMaxName && name.front() != '.' && name.front() != '-' &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-' || c == '+';
           });
}

} // namespace

bool looks_like_plugin(const std::string &file_name) {
    return file_name.size() > kSuffix.size() && file_name.ends_with(kSuffix);
}

Result<fs::path> check_plugin_folder(const fs::path &folder) {
    RZ_ASSIGN(const fs::path real, real_path(folder));
    for (fs::path part = real;; part = part.parent_path()) {
        struct stat info {};
        if (::stat(part.c_str(), &info) != 0) return os_error(part);
        if (!S_ISDIR(info.st_mode))
            return make_error(Code::invalid_argument, "not_a_folder",
                              "'%s': expected a folder, found a file", show(part).c_str());
        RZ_TRY(check_owner_and_mode(part, info));
        if (part == part.root_path()) return real;
    }
}

Result<CheckedFile> check_plugin_file(const fs::path &folder, const std::string &file_name) {
    if (!looks_like_plugin(file_name) || !good_name(file_name))
        return make_error(Code::invalid_argument, "bad_name",
                          "expected a name of at most %zu letters, digits and ._-+ that ends in "
                          ".so, found '%s'",
                          kMaxName, printable(file_name).c_str());
    RZ_ASSIGN(const fs::path real, real_path(folder / file_name));
    if (real.parent_path() != folder)
        return make_error(Code::invalid_argument, "outside_folder",
                          "expected a file in '%s', found a link to '%s'", show(folder).c_str(),
                          show(real).c_str());
    struct stat info {};
    if (::lstat(real.c_str(), &info) != 0) return os_error(real);
    if (!S_ISREG(info.st_mode))
        return make_error(Code::invalid_argument, "not_a_file", "expected a regular file, found %s",
                          kind_of(info.st_mode));
    RZ_TRY(check_owner_and_mode(real, info));
    return CheckedFile{real, identity_of(info)};
}

Result<FileIdentity> identify(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        return make_error(Code::io, "io", "cannot look at an open file: %s", std::strerror(errno));
    return identity_of(info);
}

Result<FileIdentity> identify(const fs::path &path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return os_error(path);
    return identity_of(info);
}

} // namespace realizar
