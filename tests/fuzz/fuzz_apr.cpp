// The APR reader, both versions. The first byte chooses: even, the rest is a file; odd, the rest is a
// file whose checksums are made right first, so that deeper checks are reached.
#include "core/common/crc32.h"
#include "core/format/apr.h"
#include "core/format/apr_v1.h"
#include "core/format/gguf.h"

#include <cstring>
#include <string>

namespace {

using namespace realizar;

std::span<const std::byte> bytes_of(const std::string &text) {
    return std::as_bytes(std::span(text));
}

void put_crc(std::string &file, size_t at, const std::string &covered) {
    const uint32_t crc = Crc32::of(bytes_of(covered));
    std::memcpy(file.data() + at, &crc, sizeof crc);
}

void seal(std::string &file) {
    if (is_apr(bytes_of(file)) && file.size() >= 64)
        put_crc(file, 40, file.substr(0, 40) + file.substr(44, 20));
    else if (is_apr_v1(bytes_of(file)) && file.size() >= 36)
        put_crc(file, file.size() - 4, file.substr(0, file.size() - 4));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    std::string file(reinterpret_cast<const char *>(data + 1), size - 1);
    if (data[0] % 2 == 1) seal(file);
    const auto parsed = GgufFile::parse(bytes_of(file), "fuzz");
    [[maybe_unused]] static volatile uint64_t sink;
    if (!parsed.ok()) {
        if (parsed.error().tag.empty()) __builtin_trap();
        return 0;
    }
    uint64_t sum = 0;
    for (const GgufTensor &tensor : (*parsed)->tensors())
        for (const std::byte byte : tensor.data)
            sum += std::to_integer<uint64_t>(byte);
    sink = sum;
    return 0;
}
