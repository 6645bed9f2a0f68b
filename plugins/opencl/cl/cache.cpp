#include "plugins/opencl/cl/cache.h"

#include <cstring>

namespace realizar::opencl {

namespace {

struct EntryHead {
    char magic[8] = {'r', 'z', 'o', 'p', 'e', 'n', 'c', 'l'};
    uint64_t size = 0, checksum = 0;
};

} // namespace

uint64_t hash(std::string_view bytes, uint64_t start) {
    for (const char c : bytes)
        start = (start ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    return start;
}

std::vector<unsigned char> read_cache(const rz_host &host, const char *key) {
    constexpr uint64_t kMost = uint64_t{1} << 28;
    uint64_t size = 0;
    if (host.cache_get(host.self, key, nullptr, &size) != RZ_BUSY || size <= sizeof(EntryHead) ||
        size > kMost)
        return {};
    std::vector<unsigned char> entry(size);
    if (host.cache_get(host.self, key, entry.data(), &size) != RZ_OK || size != entry.size())
        return {};
    EntryHead head;
    std::memcpy(&head, entry.data(), sizeof(head));
    entry.erase(entry.begin(), entry.begin() + sizeof(head));
    const std::string_view content(reinterpret_cast<const char *>(entry.data()), entry.size());
    if (std::memcmp(head.magic, EntryHead().magic, sizeof(head.magic)) != 0 ||
        head.size != entry.size() || head.checksum != hash(content))
        return {};
    return entry;
}

void write_cache(const rz_host &host, const char *key, std::string_view content) {
    EntryHead head;
    head.size = content.size();
    head.checksum = hash(content);
    std::vector<unsigned char> entry(sizeof(head) + content.size());
    std::memcpy(entry.data(), &head, sizeof(head));
    std::memcpy(entry.data() + sizeof(head), content.data(), content.size());
    host.cache_put(host.self, key, entry.data(), entry.size());
}

} // namespace realizar::opencl
