// Numbers of the APR layouts that reader and writer share. Internal to core/format.
#pragma once

#include <cstdint>

namespace realizar::apr {

constexpr uint64_t kHeaderBytes = 64, kAlignment = 64, kFooterBytes = 4;
constexpr uint32_t kCrcOffset = 40; // of the header's checksum, over the 60 other bytes

enum Flag : uint32_t {
    kLz4 = 1,
    kZstd = 2,
    kEncrypted = 4,
    kSigned = 8,
    kSharded = 0x10,
    kQuantized = 0x20,
    kVocabulary = 0x200,
    kRowMajor = 0x400,
    kColumnMajor = 0x800,
};

// Types that are not GGML's.
enum Type : uint8_t { kF64 = 3, kI32 = 4, kI64 = 5, kI8 = 6, kU8 = 7, kQ4 = 128, kQ8 = 129 };
constexpr uint8_t kOldQ4 = 8, kOldQ8 = 9; // ids that old writers gave to the last two
constexpr uint64_t kQ4Block = 32, kQ4BlockBytes = 18;

constexpr uint64_t padded(uint64_t size) {
    return (size + kAlignment - 1) / kAlignment * kAlignment;
}

} // namespace realizar::apr
