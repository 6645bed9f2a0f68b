// May this file be loaded as a plugin at all? Who owns it, who may change it, where does it lie?
//
// A plugin's code runs with all rights of the process, so a file that somebody else can replace is
// refused before it is opened: it, its folder and every parent must belong to root or the effective
// user, and nobody else may write to them. Two exceptions: a folder with the sticky bit (like /tmp),
// where others cannot replace what they do not own, and write permission of a group that is the
// owner's own (user private groups, the default of several distributions).
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace realizar {

// What tells one state of a file from another.
struct FileIdentity {
    uint64_t device = 0;
    uint64_t inode = 0;
    uint64_t size = 0;
    int64_t modified_ns = 0; // since 1970

    bool operator==(const FileIdentity &) const = default;
    bool same_file(const FileIdentity &other) const {
        return device == other.device && inode == other.inode;
    }
};

struct CheckedFile {
    std::filesystem::path path; // real, absolute
    FileIdentity identity;
};

// Does the file name end like a plugin's (".so")? Other files in the folder are none of our business.
bool looks_like_plugin(const std::string &file_name);

// The real path of a folder that nobody else may change. Tags: not_found, not_a_folder,
// foreign_owner, writable_by_others, io.
Result<std::filesystem::path> check_plugin_folder(const std::filesystem::path &folder);

// The file `file_name` in a folder that check_plugin_folder gave. Tags: bad_name, not_a_file,
// outside_folder (a link that leads out), foreign_owner, writable_by_others, not_found, io.
Result<CheckedFile> check_plugin_file(const std::filesystem::path &folder,
                                      const std::string &file_name);

// The identity of the file behind an open descriptor or a path.
Result<FileIdentity> identify(int fd);
Result<FileIdentity> identify(const std::filesystem::path &path);

} // namespace realizar
