#include "core/format/gguf_cursor.h"

#include <bit>
#include <cinttypes>

static_assert(std::endian::native == std::endian::little, "GGUF data is used in place");

namespace realizar {
namespace {

constexpr uint64_t kHeaderBytes = 24;        // magic, version, number of tensors, number of entries
constexpr uint64_t kMinEntryBytes = 13;      // key length, type, a value of one byte
constexpr uint64_t kMinTensorInfoBytes = 24; // name length, rank, type, offset

Status parse_header(GgufCursor &cursor, GgufContents &contents, uint64_t &n_tensors,
                    uint64_t &n_entries) {
    constexpr std::string_view kMagic = "GGUF";
    if (cursor.bytes().size() >= kMagic.size()) {
        const std::string_view magic = cursor.take_text(kMagic.size());
        if (magic != kMagic)
            return cursor.fail("bad_magic", 0, "expected 'GGUF', found '%s'",
                               printable(magic).c_str());
    }
    if (cursor.bytes().size() < kHeaderBytes)
        return cursor.fail("truncated_header", cursor.bytes().size(),
                           "expected a header of %" PRIu64 " bytes, found a file of %zu",
                           kHeaderBytes, cursor.bytes().size());
    cursor.read(contents.version);
    if (contents.version != 0 && (contents.version & 0xFFFF) == 0)
        return cursor.fail("wrong_endian", 4,
                           "expected a little-endian file, found version 0x%08" PRIX32,
                           contents.version);
    if (contents.version != 2 && contents.version != 3)
        return cursor.fail("unsupported_version", 4, "expected version 2 or 3, found %" PRIu32,
                           contents.version);
    cursor.read(n_tensors);
    cursor.read(n_entries);
    if (n_tensors > cursor.left() / kMinTensorInfoBytes)
        return cursor.fail("count_exceeds_file", 8,
                           "expected at most %" PRIu64 " tensors in the bytes left, found %" PRIu64,
                           cursor.left() / kMinTensorInfoBytes, n_tensors);
    if (n_entries > cursor.left() / kMinEntryBytes)
        return cursor.fail("count_exceeds_file", 16,
                           "expected at most %" PRIu64 " entries in the bytes left, found %" PRIu64,
                           cursor.left() / kMinEntryBytes, n_entries);
    if (n_tensors > GgufLimits::kTensors)
        return cursor.fail("too_many_tensors", 8,
                           "expected at most %" PRIu64 " tensors, found %" PRIu64,
                           GgufLimits::kTensors, n_tensors);
    if (n_entries > GgufLimits::kEntries)
        return cursor.fail("too_many_entries", 16,
                           "expected at most %" PRIu64 " entries, found %" PRIu64,
                           GgufLimits::kEntries, n_entries);
    return {};
}

struct ScalarType {
    GgufType type;
    const char *name;
    uint32_t bytes;
};
constexpr ScalarType kTypes[] = {
    {GgufType::u8, "uint8", 1},    {GgufType::i8, "int8", 1},      {GgufType::u16, "uint16", 2},
    {GgufType::i16, "int16", 2},   {GgufType::u32, "uint32", 4},   {GgufType::i32, "int32", 4},
    {GgufType::f32, "float32", 4}, {GgufType::boolean, "bool", 1}, {GgufType::string, "string", 0},
    {GgufType::array, "array", 0}, {GgufType::u64, "uint64", 8},   {GgufType::i64, "int64", 8},
    {GgufType::f64, "float64", 8},
};

const ScalarType *find_type(GgufType type) {
    const auto index = static_cast<uint32_t>(type);
    return index < std::size(kTypes) ? &kTypes[index] : nullptr;
}

} // namespace

uint32_t gguf_scalar_bytes(GgufType type) {
    const ScalarType *row = find_type(type);
    return row ? row->bytes : 0;
}

const char *gguf_type_name(GgufType type) {
    const ScalarType *row = find_type(type);
    return row ? row->name : "unknown";
}

bool gguf_is_clean_text(std::string_view text) { return printable(text, text.size()) == text; }

Result<GgufContents> parse_gguf(std::span<const std::byte> bytes) {
    GgufCursor cursor(bytes);
    GgufContents contents;
    uint64_t n_tensors = 0, n_entries = 0;
    RZ_TRY(parse_header(cursor, contents, n_tensors, n_entries));
    RZ_TRY(parse_gguf_entries(cursor, n_entries, contents));
    RZ_TRY(parse_gguf_tensors(cursor, n_tensors, contents));
    return contents;
}

} // namespace realizar
