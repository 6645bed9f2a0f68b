#include "core/plugin/blob_cache.h"

#include "core/plugin/plugin_id.h"
#include "core/plugin/small_file.h"

#include <cstdio>
#include <cstring>

namespace realizar {

namespace {

constexpr uint64_t kMaxKey = 4096;
constexpr uint64_t kMaxBlob = 256ull << 20;

// A file is this header, the key, the blob. The key is kept because the file name is only a hash.
struct FileHeader {
    char magic[8];
    uint64_t key_size;
    uint64_t blob_size;
    uint64_t checksum; // fnv1a of key and blob
};
constexpr char kMagic[8] = {'r', 'z', 'b', 'l', 'o', 'b', '0', '1'};

uint64_t checksum_of(std::string_view key, std::string_view blob) {
    return fnv1a(blob, fnv1a(key));
}

} // namespace

BlobCache::BlobCache(const std::filesystem::path &folder, const std::string &plugin_id) {
    if (!folder.empty() && is_plugin_id(plugin_id)) folder_ = folder / plugin_id;
}

std::filesystem::path BlobCache::file_of(std::string_view key) const {
    char name[32];
    std::snprintf(name, sizeof name, "%016llx.blob", static_cast<unsigned long long>(fnv1a(key)));
    return folder_ / name;
}

Result<std::vector<std::byte>> BlobCache::get(std::string_view key) const {
    const auto absent = [] { return make_error(Code::not_found, "no_blob", "no such blob"); };
    if (folder_.empty()) return absent();
    const Result<std::string> file =
        read_own_file(file_of(key), sizeof(FileHeader) + kMaxKey + kMaxBlob);
    FileHeader header;
    if (!file.ok() || file->size() < sizeof header) return absent();
    std::memcpy(&header, file->data(), sizeof header);
    const std::string_view body = std::string_view(*file).substr(sizeof header);
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.key_size != key.size() ||
        body.size() < key.size() || header.blob_size != body.size() - key.size())
        return absent();
    const std::string_view blob = body.substr(key.size());
    if (body.substr(0, key.size()) != key || header.checksum != checksum_of(key, blob))
        return absent();
    std::vector<std::byte> bytes(blob.size());
    if (!blob.empty()) std::memcpy(bytes.data(), blob.data(), blob.size());
    return bytes;
}

Status BlobCache::put(std::string_view key, std::span<const std::byte> blob) const {
    if (folder_.empty())
        return make_error(Code::unavailable, "no_cache", "this host keeps no blobs");
    if (key.empty() || key.size() > kMaxKey || blob.size() > kMaxBlob)
        return make_error(Code::invalid_argument, "blob_size",
                          "expected a key of 1 to %llu bytes and a blob of at most %llu bytes, "
                          "found %zu and %zu",
                          static_cast<unsigned long long>(kMaxKey),
                          static_cast<unsigned long long>(kMaxBlob), key.size(), blob.size());
    const std::string_view bytes(reinterpret_cast<const char *>(blob.data()), blob.size());
    FileHeader header{{}, key.size(), blob.size(), checksum_of(key, bytes)};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    std::string file(reinterpret_cast<const char *>(&header), sizeof header);
    file += key;
    file += bytes;
    return replace_file(file_of(key), file);
}

} // namespace realizar
