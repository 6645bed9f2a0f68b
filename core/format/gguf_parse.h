// The GGUF parser proper, apart from who owns the bytes. Internal to core/format.
#pragma once

#include "core/format/gguf.h"

#include <deque>

namespace realizar {

// Bounds on what a file may ask for, so that memory stays below file size + 64 MiB however the
// file is made: 65536 entries of 88 bytes + 65536 tensors of about 130 bytes + 2 Mi views of 16
// bytes = 46 MiB. The largest published models have 2 k tensors and 0.8 Mi strings.
struct GgufLimits {
    static constexpr uint64_t kEntries = 65536;
    static constexpr uint64_t kTensors = 65536;
    static constexpr uint64_t kArrayStrings = uint64_t(2) << 20; // all arrays together
    static constexpr uint64_t kKeyBytes = 65535;                 // as in the specification
    static constexpr uint64_t kNameBytes = 63;
    static constexpr uint32_t kRank = 4;
    static constexpr uint32_t kMinAlignment = 8; // data is read in place: F64 and I64 need 8
    static constexpr uint32_t kAlignment = 65536;
};

constexpr uint32_t kGgufDefaultAlignment = 32;
constexpr const char *kGgufAlignmentKey = "general.alignment";

// Bytes of a scalar in the file; 0 for strings, arrays and unknown types.
uint32_t gguf_scalar_bytes(GgufType type);
// Name for messages, e.g. "uint32".
const char *gguf_type_name(GgufType type);

// UTF-8 without control bytes. Keys and tensor names end up in messages and logs.
bool gguf_is_clean_text(std::string_view text);

struct GgufContents {
    const char *format = "GGUF";
    uint32_t version = 0;
    uint32_t alignment = kGgufDefaultAlignment;
    uint64_t data_offset = 0;
    std::vector<GgufEntry> entries;
    std::vector<GgufTensor> tensors;
    std::vector<uint32_t> entry_order;        // indices of entries by rising key
    std::vector<uint32_t> tensor_order;       // indices of tensors by rising name
    std::deque<std::string> owned;            // bytes that views above point to and no mapping has
    std::shared_ptr<const std::string> image; // the same, of a whole unpacked file
};

// Views in the result point into `bytes`.
Result<GgufContents> parse_gguf(std::span<const std::byte> bytes);

} // namespace realizar
