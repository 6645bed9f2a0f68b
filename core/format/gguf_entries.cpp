// The metadata of a GGUF file.
#include "core/format/gguf_cursor.h"

#include <bit>
#include <cinttypes>
#include <limits>

namespace realizar {
namespace {

constexpr uint64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

class EntryParser {
  public:
    EntryParser(GgufCursor &cursor, uint64_t count, GgufContents &contents)
        : cursor_(cursor), count_(count), contents_(contents) {}

    Status entries();
    Status alignment();

  private:
    Status read_key(std::string_view &key);
    Status read_value(GgufType type, GgufValue &value);
    template <class Stored, class Widened>
    Status read_scalar(GgufValue &value);
    Status read_bool(GgufValue &value);
    Status read_array(GgufArray &array);
    Status read_array_strings(GgufArray &array, uint64_t start);

    GgufCursor &cursor_;
    uint64_t count_;
    GgufContents &contents_;
    uint64_t array_strings_ = 0;
};

Status EntryParser::entries() {
    contents_.entries.reserve(count_);
    for (uint64_t i = 0; i < count_; ++i) {
        GgufEntry entry{};
        RZ_TRY(read_key(entry.key));
        cursor_.set_subject("key", entry.key);
        uint32_t type = 0;
        const uint64_t start = cursor_.at();
        if (!cursor_.read(type))
            return cursor_.fail("truncated_kv", start,
                                "expected a value type, found the end of the file");
        entry.type = static_cast<GgufType>(type);
        RZ_TRY(read_value(entry.type, entry.value));
        cursor_.clear_subject();
        contents_.entries.push_back(std::move(entry));
    }
    if (const GgufEntry *twin =
            sort_by_text(contents_.entries, &GgufEntry::key, contents_.entry_order)) {
        return cursor_.fail("duplicate_key", cursor_.offset_of(twin->key),
                            "expected each key once, found '%s' again",
                            printable(twin->key).c_str());
    }
    return {};
}

Status EntryParser::read_key(std::string_view &key) {
    const uint64_t start = cursor_.at();
    uint64_t size = 0;
    if (!cursor_.read(size))
        return cursor_.fail("truncated_kv", start,
                            "expected entry %zu of %" PRIu64 ", found the end of the file",
                            contents_.entries.size() + 1, count_);
    if (size > kMaxInt64)
        return cursor_.fail("string_too_long", start,
                            "expected a key of at most %" PRIu64 " bytes, found length %" PRIu64,
                            GgufLimits::kKeyBytes, size);
    if (size > cursor_.left())
        return cursor_.fail("string_exceeds_file", start,
                            "expected a key within the %" PRIu64
                            " bytes left, found length %" PRIu64,
                            cursor_.left(), size);
    if (size > GgufLimits::kKeyBytes)
        return cursor_.fail("string_too_long", start,
                            "expected a key of at most %" PRIu64 " bytes, found length %" PRIu64,
                            GgufLimits::kKeyBytes, size);
    key = cursor_.take_text(size);
    if (key.empty()) return cursor_.fail("bad_key", start, "expected a key, found an empty string");
    if (!gguf_is_clean_text(key))
        return cursor_.fail("bad_key", start,
                            "expected a key of UTF-8 without control bytes, found '%s'",
                            printable(key).c_str());
    return {};
}

template <class Stored, class Widened>
Status EntryParser::read_scalar(GgufValue &value) {
    Stored stored{};
    const uint64_t start = cursor_.at();
    if (!cursor_.read(stored))
        return cursor_.fail("truncated_kv", start,
                            "expected a value of %zu bytes, found %" PRIu64 " left", sizeof stored,
                            cursor_.left());
    value = static_cast<Widened>(stored);
    return {};
}

Status EntryParser::read_bool(GgufValue &value) {
    RZ_TRY((read_scalar<uint8_t, uint64_t>(value)));
    const uint64_t byte = std::get<uint64_t>(value);
    if (byte > 1)
        return cursor_.fail("bad_bool", cursor_.at() - 1, "expected 0 or 1, found %" PRIu64, byte);
    value = byte == 1;
    return {};
}

Status EntryParser::read_value(GgufType type, GgufValue &value) {
    switch (type) {
    case GgufType::u8: return read_scalar<uint8_t, uint64_t>(value);
    case GgufType::u16: return read_scalar<uint16_t, uint64_t>(value);
    case GgufType::u32: return read_scalar<uint32_t, uint64_t>(value);
    case GgufType::u64: return read_scalar<uint64_t, uint64_t>(value);
    case GgufType::i8: return read_scalar<int8_t, int64_t>(value);
    case GgufType::i16: return read_scalar<int16_t, int64_t>(value);
    case GgufType::i32: return read_scalar<int32_t, int64_t>(value);
    case GgufType::i64: return read_scalar<int64_t, int64_t>(value);
    case GgufType::f32: return read_scalar<float, double>(value);
    case GgufType::f64: return read_scalar<double, double>(value);
    case GgufType::boolean: return read_bool(value);
    case GgufType::string:
        return cursor_.read_string(value.emplace<std::string_view>(), "truncated_kv");
    case GgufType::array: return read_array(value.emplace<GgufArray>());
    }
    return cursor_.fail("bad_value_type", cursor_.at() - 4,
                        "expected a value type of 0 to 12, found %" PRIu32,
                        static_cast<uint32_t>(type));
}

Status EntryParser::read_array(GgufArray &array) {
    const uint64_t start = cursor_.at();
    uint32_t type = 0;
    if (!cursor_.read(type) || !cursor_.read(array.count))
        return cursor_.fail("truncated_kv", start,
                            "expected an element type and a count, found the end of the file");
    array.element = static_cast<GgufType>(type);
    if (array.element == GgufType::array)
        return cursor_.fail("nested_array", start,
                            "expected scalars or strings, found an array of arrays");
    if (array.element == GgufType::string) return read_array_strings(array, start + 4);
    const uint64_t size = gguf_scalar_bytes(array.element);
    if (size == 0)
        return cursor_.fail("bad_value_type", start,
                            "expected an element type of 0 to 12, found %" PRIu32, type);
    if (array.count > std::numeric_limits<uint64_t>::max() / size)
        return cursor_.fail("array_too_large", start + 4,
                            "expected a count whose bytes fit 64 bits, found %" PRIu64,
                            array.count);
    if (array.count > cursor_.left() / size)
        return cursor_.fail("count_exceeds_file", start + 4,
                            "expected at most %" PRIu64
                            " elements in the bytes left, found %" PRIu64,
                            cursor_.left() / size, array.count);
    array.bytes = cursor_.take(array.count * size);
    if (array.element == GgufType::boolean) {
        const auto bad =
            std::ranges::find_if(array.bytes, [](std::byte b) { return b > std::byte{1}; });
        if (bad != array.bytes.end())
            return cursor_.fail("bad_bool", static_cast<uint64_t>(&*bad - cursor_.bytes().data()),
                                "expected 0 or 1, found %u", static_cast<unsigned>(*bad));
    }
    return {};
}

Status EntryParser::read_array_strings(GgufArray &array, uint64_t start) {
    if (array.count > cursor_.left() / sizeof(uint64_t))
        return cursor_.fail("count_exceeds_file", start,
                            "expected at most %" PRIu64
                            " strings in the bytes left, found %" PRIu64,
                            cursor_.left() / sizeof(uint64_t), array.count);
    array_strings_ += array.count;
    if (array_strings_ > GgufLimits::kArrayStrings)
        return cursor_.fail("array_too_large", start,
                            "expected at most %" PRIu64 " strings in all arrays, found %" PRIu64,
                            GgufLimits::kArrayStrings, array_strings_);
    array.strings.resize(array.count);
    for (std::string_view &text : array.strings)
        RZ_TRY(cursor_.read_string(text, "truncated_kv"));
    return {};
}

Status EntryParser::alignment() {
    const auto &order = contents_.entry_order;
    const auto key_of = [&](uint32_t i) { return contents_.entries[i].key; };
    const auto found =
        std::ranges::lower_bound(order, std::string_view(kGgufAlignmentKey), {}, key_of);
    if (found == order.end() || key_of(*found) != kGgufAlignmentKey) return {};
    const GgufEntry &entry = contents_.entries[*found];
    const uint64_t offset = cursor_.offset_of(entry.key);
    if (entry.type != GgufType::u32)
        return cursor_.fail("wrong_type", offset, "key '%s': expected uint32, found %s",
                            kGgufAlignmentKey, gguf_type_name(entry.type));
    const uint64_t value = std::get<uint64_t>(entry.value);
    if (!std::has_single_bit(value) || value < GgufLimits::kMinAlignment)
        return cursor_.fail("bad_alignment", offset,
                            "key '%s': expected a power of two of at least %" PRIu32
                            ", found %" PRIu64,
                            kGgufAlignmentKey, GgufLimits::kMinAlignment, value);
    if (value > GgufLimits::kAlignment)
        return cursor_.fail("alignment_too_large", offset,
                            "key '%s': expected at most %" PRIu32 ", found %" PRIu64,
                            kGgufAlignmentKey, GgufLimits::kAlignment, value);
    contents_.alignment = static_cast<uint32_t>(value);
    return {};
}

} // namespace

Status parse_gguf_entries(GgufCursor &cursor, uint64_t count, GgufContents &contents) {
    EntryParser parser(cursor, count, contents);
    RZ_TRY(parser.entries());
    return parser.alignment();
}

} // namespace realizar
