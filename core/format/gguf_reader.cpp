#include "core/format/gguf_parse.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>

static_assert(std::endian::native == std::endian::little, "GGUF data is used in place");

namespace realizar {
namespace {

constexpr uint64_t kMaxInt64 = std::numeric_limits<int64_t>::max();
constexpr uint64_t kHeaderBytes = 24;        // magic, version, number of tensors, number of entries
constexpr uint64_t kMinEntryBytes = 13;      // key length, type, a value of one byte
constexpr uint64_t kMinTensorInfoBytes = 24; // name length, rank, type, offset

class Parser {
  public:
    explicit Parser(std::span<const std::byte> bytes) : bytes_(bytes) {}

    Result<GgufContents> run() {
        RZ_TRY(header());
        RZ_TRY(entries());
        RZ_TRY(alignment());
        RZ_TRY(tensor_infos());
        RZ_TRY(place_data());
        return std::move(contents_);
    }

  private:
    // "byte 123: key 'k': <message>".
    [[gnu::format(printf, 4, 5)]] Error fail(const char *tag, uint64_t offset, const char *format,
                                             ...) const {
        char text[512];
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        if (subject_kind_ == nullptr)
            return make_error(Code::malformed, tag, "byte %" PRIu64 ": %s", offset, text);
        return make_error(Code::malformed, tag, "byte %" PRIu64 ": %s '%s': %s", offset,
                          subject_kind_, printable(subject_).c_str(), text);
    }

    uint64_t left() const { return bytes_.size() - at_; }

    template <class T>
    bool read(T &value) {
        if (left() < sizeof value) return false;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return true;
    }

    std::string_view take_text(uint64_t size) {
        const std::string_view text(reinterpret_cast<const char *>(bytes_.data()) + at_, size);
        at_ += size;
        return text;
    }

    // A length and its bytes, of which the file only has to have enough.
    Status read_string(std::string_view &text, const char *truncated_tag) {
        const uint64_t start = at_;
        uint64_t size = 0;
        if (!read(size))
            return fail(truncated_tag, start,
                        "expected a string length, found the end of the file");
        if (size > left())
            return fail("string_exceeds_file", start,
                        "expected a string within the %" PRIu64
                        " bytes left, found length %" PRIu64,
                        left(), size);
        text = take_text(size);
        return {};
    }

    Status header();
    Status entries();
    Status read_key(std::string_view &key);
    Status read_value(GgufType type, GgufValue &value);
    template <class Stored, class Widened>
    Status read_scalar(GgufValue &value);
    Status read_bool(GgufValue &value);
    Status read_array(GgufArray &array);
    Status read_array_strings(GgufArray &array, uint64_t start);
    Status alignment();
    Status tensor_infos();
    Status read_tensor_info(GgufTensor &tensor);
    Status read_dims(GgufTensor &tensor, uint32_t rank);
    Status tensor_bytes(GgufTensor &tensor, uint64_t &size);
    Status place_data();

    std::span<const std::byte> bytes_;
    uint64_t at_ = 0;
    uint64_t n_tensors_ = 0, n_entries_ = 0;
    uint64_t array_strings_ = 0;
    std::vector<uint64_t> tensor_sizes_;
    std::vector<uint64_t> offset_fields_; // where each tensor's offset stands, for messages
    const char *subject_kind_ = nullptr;  // "key" or "tensor" while inside one
    std::string_view subject_;
    GgufContents contents_;
};

Status Parser::header() {
    constexpr std::string_view kMagic = "GGUF";
    if (bytes_.size() >= kMagic.size()) {
        const std::string_view magic = take_text(kMagic.size());
        if (magic != kMagic)
            return fail("bad_magic", 0, "expected 'GGUF', found '%s'", printable(magic).c_str());
    }
    if (bytes_.size() < kHeaderBytes)
        return fail("truncated_header", bytes_.size(),
                    "expected a header of %" PRIu64 " bytes, found a file of %zu", kHeaderBytes,
                    bytes_.size());
    read(contents_.version);
    if (contents_.version != 0 && (contents_.version & 0xFFFF) == 0)
        return fail("wrong_endian", 4, "expected a little-endian file, found version 0x%08" PRIX32,
                    contents_.version);
    if (contents_.version != 2 && contents_.version != 3)
        return fail("unsupported_version", 4, "expected version 2 or 3, found %" PRIu32,
                    contents_.version);
    read(n_tensors_);
    read(n_entries_);
    if (n_tensors_ > left() / kMinTensorInfoBytes)
        return fail("count_exceeds_file", 8,
                    "expected at most %" PRIu64 " tensors in the bytes left, found %" PRIu64,
                    left() / kMinTensorInfoBytes, n_tensors_);
    if (n_entries_ > left() / kMinEntryBytes)
        return fail("count_exceeds_file", 16,
                    "expected at most %" PRIu64 " entries in the bytes left, found %" PRIu64,
                    left() / kMinEntryBytes, n_entries_);
    if (n_tensors_ > GgufLimits::kTensors)
        return fail("too_many_tensors", 8, "expected at most %" PRIu64 " tensors, found %" PRIu64,
                    GgufLimits::kTensors, n_tensors_);
    if (n_entries_ > GgufLimits::kEntries)
        return fail("too_many_entries", 16, "expected at most %" PRIu64 " entries, found %" PRIu64,
                    GgufLimits::kEntries, n_entries_);
    return {};
}

// Indices of `items` by rising text, and the later of the first two equal ones if there are any.
// Sorting instead of hashing: no input makes it quadratic.
template <class Item>
const Item *sort_by_text(const std::vector<Item> &items, std::string_view Item::*text,
                         std::vector<uint32_t> &order) {
    order.resize(items.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::stable_sort(order, {}, [&](uint32_t i) { return items[i].*text; });
    const auto equal = [&](uint32_t a, uint32_t b) { return items[a].*text == items[b].*text; };
    const auto twin = std::ranges::adjacent_find(order, equal);
    return twin == order.end() ? nullptr : &items[*std::next(twin)];
}

uint64_t position(std::span<const std::byte> bytes, std::string_view view) {
    return static_cast<uint64_t>(reinterpret_cast<const std::byte *>(view.data()) - bytes.data());
}

Status Parser::entries() {
    contents_.entries.reserve(n_entries_);
    for (uint64_t i = 0; i < n_entries_; ++i) {
        GgufEntry entry{};
        RZ_TRY(read_key(entry.key));
        subject_kind_ = "key";
        subject_ = entry.key;
        uint32_t type = 0;
        const uint64_t start = at_;
        if (!read(type))
            return fail("truncated_kv", start, "expected a value type, found the end of the file");
        entry.type = static_cast<GgufType>(type);
        RZ_TRY(read_value(entry.type, entry.value));
        subject_kind_ = nullptr;
        contents_.entries.push_back(std::move(entry));
    }
    if (const GgufEntry *twin =
            sort_by_text(contents_.entries, &GgufEntry::key, contents_.entry_order)) {
        return fail("duplicate_key", position(bytes_, twin->key),
                    "expected each key once, found '%s' again", printable(twin->key).c_str());
    }
    return {};
}

Status Parser::read_key(std::string_view &key) {
    const uint64_t start = at_;
    uint64_t size = 0;
    if (!read(size))
        return fail("truncated_kv", start,
                    "expected entry %zu of %" PRIu64 ", found the end of the file",
                    contents_.entries.size() + 1, n_entries_);
    if (size > kMaxInt64)
        return fail("string_too_long", start,
                    "expected a key of at most %" PRIu64 " bytes, found length %" PRIu64,
                    GgufLimits::kKeyBytes, size);
    if (size > left())
        return fail("string_exceeds_file", start,
                    "expected a key within the %" PRIu64 " bytes left, found length %" PRIu64,
                    left(), size);
    if (size > GgufLimits::kKeyBytes)
        return fail("string_too_long", start,
                    "expected a key of at most %" PRIu64 " bytes, found length %" PRIu64,
                    GgufLimits::kKeyBytes, size);
    key = take_text(size);
    if (key.empty()) return fail("bad_key", start, "expected a key, found an empty string");
    if (!gguf_is_clean_text(key))
        return fail("bad_key", start, "expected a key of UTF-8 without control bytes, found '%s'",
                    printable(key).c_str());
    return {};
}

template <class Stored, class Widened>
Status Parser::read_scalar(GgufValue &value) {
    Stored stored{};
    const uint64_t start = at_;
    if (!read(stored))
        return fail("truncated_kv", start, "expected a value of %zu bytes, found %" PRIu64 " left",
                    sizeof stored, left());
    value = static_cast<Widened>(stored);
    return {};
}

Status Parser::read_bool(GgufValue &value) {
    RZ_TRY((read_scalar<uint8_t, uint64_t>(value)));
    const uint64_t byte = std::get<uint64_t>(value);
    if (byte > 1) return fail("bad_bool", at_ - 1, "expected 0 or 1, found %" PRIu64, byte);
    value = byte == 1;
    return {};
}

Status Parser::read_value(GgufType type, GgufValue &value) {
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
    case GgufType::string: return read_string(value.emplace<std::string_view>(), "truncated_kv");
    case GgufType::array: return read_array(value.emplace<GgufArray>());
    }
    return fail("bad_value_type", at_ - 4, "expected a value type of 0 to 12, found %" PRIu32,
                static_cast<uint32_t>(type));
}

Status Parser::read_array(GgufArray &array) {
    const uint64_t start = at_;
    uint32_t type = 0;
    if (!read(type) || !read(array.count))
        return fail("truncated_kv", start,
                    "expected an element type and a count, found the end of the file");
    array.element = static_cast<GgufType>(type);
    if (array.element == GgufType::array)
        return fail("nested_array", start, "expected scalars or strings, found an array of arrays");
    if (array.element == GgufType::string) return read_array_strings(array, start + 4);
    const uint64_t size = gguf_scalar_bytes(array.element);
    if (size == 0)
        return fail("bad_value_type", start, "expected an element type of 0 to 12, found %" PRIu32,
                    type);
    if (array.count > std::numeric_limits<uint64_t>::max() / size)
        return fail("array_too_large", start + 4,
                    "expected a count whose bytes fit 64 bits, found %" PRIu64, array.count);
    if (array.count > left() / size)
        return fail("count_exceeds_file", start + 4,
                    "expected at most %" PRIu64 " elements in the bytes left, found %" PRIu64,
                    left() / size, array.count);
    array.bytes = bytes_.subspan(at_, array.count * size);
    at_ += array.bytes.size();
    if (array.element == GgufType::boolean) {
        const auto bad =
            std::ranges::find_if(array.bytes, [](std::byte b) { return b > std::byte{1}; });
        if (bad != array.bytes.end())
            return fail("bad_bool", static_cast<uint64_t>(&*bad - bytes_.data()),
                        "expected 0 or 1, found %u", static_cast<unsigned>(*bad));
    }
    return {};
}

Status Parser::read_array_strings(GgufArray &array, uint64_t start) {
    if (array.count > left() / sizeof(uint64_t))
        return fail("count_exceeds_file", start,
                    "expected at most %" PRIu64 " strings in the bytes left, found %" PRIu64,
                    left() / sizeof(uint64_t), array.count);
    array_strings_ += array.count;
    if (array_strings_ > GgufLimits::kArrayStrings)
        return fail("array_too_large", start,
                    "expected at most %" PRIu64 " strings in all arrays, found %" PRIu64,
                    GgufLimits::kArrayStrings, array_strings_);
    array.strings.resize(array.count);
    for (std::string_view &text : array.strings)
        RZ_TRY(read_string(text, "truncated_kv"));
    return {};
}

Status Parser::alignment() {
    const auto &order = contents_.entry_order;
    const auto key_of = [&](uint32_t i) { return contents_.entries[i].key; };
    const auto found =
        std::ranges::lower_bound(order, std::string_view(kGgufAlignmentKey), {}, key_of);
    if (found == order.end() || key_of(*found) != kGgufAlignmentKey) return {};
    const GgufEntry &entry = contents_.entries[*found];
    const uint64_t offset = position(bytes_, entry.key);
    if (entry.type != GgufType::u32)
        return fail("wrong_type", offset, "key '%s': expected uint32, found %s", kGgufAlignmentKey,
                    gguf_type_name(entry.type));
    const uint64_t value = std::get<uint64_t>(entry.value);
    if (!std::has_single_bit(value) || value < GgufLimits::kMinAlignment)
        return fail("bad_alignment", offset,
                    "key '%s': expected a power of two of at least %" PRIu32 ", found %" PRIu64,
                    kGgufAlignmentKey, GgufLimits::kMinAlignment, value);
    if (value > GgufLimits::kAlignment)
        return fail("alignment_too_large", offset,
                    "key '%s': expected at most %" PRIu32 ", found %" PRIu64, kGgufAlignmentKey,
                    GgufLimits::kAlignment, value);
    contents_.alignment = static_cast<uint32_t>(value);
    return {};
}

Status Parser::tensor_infos() {
    contents_.tensors.reserve(n_tensors_);
    tensor_sizes_.reserve(n_tensors_);
    offset_fields_.reserve(n_tensors_);
    for (uint64_t i = 0; i < n_tensors_; ++i) {
        GgufTensor tensor{};
        RZ_TRY(read_tensor_info(tensor));
        contents_.tensors.push_back(std::move(tensor));
    }
    if (const GgufTensor *twin =
            sort_by_text(contents_.tensors, &GgufTensor::name, contents_.tensor_order)) {
        return fail("duplicate_tensor", position(bytes_, twin->name),
                    "expected each tensor once, found '%s' again", printable(twin->name).c_str());
    }
    return {};
}

Status Parser::read_tensor_info(GgufTensor &tensor) {
    const uint64_t start = at_;
    uint64_t name_size = 0;
    if (!read(name_size))
        return fail("truncated_tensor_info", start,
                    "expected tensor %zu of %" PRIu64 ", found the end of the file",
                    contents_.tensors.size() + 1, n_tensors_);
    if (name_size > GgufLimits::kNameBytes)
        return fail("name_too_long", start,
                    "expected a tensor name of at most %" PRIu64 " bytes, found length %" PRIu64,
                    GgufLimits::kNameBytes, name_size);
    if (name_size > left())
        return fail("string_exceeds_file", start,
                    "expected a tensor name within the %" PRIu64
                    " bytes left, found length %" PRIu64,
                    left(), name_size);
    tensor.name = take_text(name_size);
    if (tensor.name.empty() || !gguf_is_clean_text(tensor.name))
        return fail("bad_name", start,
                    "expected a tensor name of UTF-8 without control bytes, "
                    "found '%s'",
                    printable(tensor.name).c_str());
    subject_kind_ = "tensor";
    subject_ = tensor.name;
    uint32_t rank = 0, type = 0;
    if (!read(rank))
        return fail("truncated_tensor_info", at_, "expected a rank, found the end of the file");
    if (rank > GgufLimits::kRank)
        return fail("too_many_dims", at_ - 4,
                    "expected at most %" PRIu32 " dimensions, found %" PRIu32, GgufLimits::kRank,
                    rank);
    RZ_TRY(read_dims(tensor, rank));
    if (!read(type) || !read(tensor.file_offset))
        return fail("truncated_tensor_info", at_,
                    "expected type and offset, found the end of the file");
    const DTypeInfo *info = find_dtype(type);
    if (info == nullptr)
        return fail("bad_tensor_type", at_ - 12, "expected a known element type, found %" PRIu32,
                    type);
    tensor.dtype = info->dtype;
    offset_fields_.push_back(at_ - 8);
    uint64_t size = 0;
    RZ_TRY(tensor_bytes(tensor, size));
    tensor_sizes_.push_back(size);
    subject_kind_ = nullptr;
    return {};
}

// The file has the fastest-running dimension first; a scalar (rank 0) becomes [1].
Status Parser::read_dims(GgufTensor &tensor, uint32_t rank) {
    for (uint32_t i = 0; i < rank; ++i) {
        uint64_t dim = 0;
        if (!read(dim))
            return fail("truncated_tensor_info", at_,
                        "expected dimension %" PRIu32 " of %" PRIu32 ", found the end of the file",
                        i + 1, rank);
        if (dim > kMaxInt64)
            return fail("bad_dim", at_ - 8, "expected a dimension below 2^63, found %" PRIu64, dim);
        if (dim == 0)
            return fail("zero_dim", at_ - 8, "expected dimensions of at least 1, found 0");
        tensor.dims.push_back(static_cast<int64_t>(dim));
    }
    if (rank == 0) tensor.dims.push_back(1);
    std::ranges::reverse(tensor.dims);
    return {};
}

Status Parser::tensor_bytes(GgufTensor &tensor, uint64_t &size) {
    const DTypeInfo &info = dtype_info(tensor.dtype);
    int64_t elements = 1;
    for (const int64_t dim : tensor.dims)
        if (__builtin_mul_overflow(elements, dim, &elements))
            return fail(
                "elements_overflow", at_,
                "expected fewer than 2^63 elements, found a product of dimensions above that");
    const int64_t row = tensor.dims.back();
    if (row % info.block_elements != 0)
        return fail("row_not_block_multiple", at_,
                    "expected rows of a multiple of %" PRIu32 " elements for %s, found %" PRId64,
                    info.block_elements, info.name, row);
    const uint64_t blocks = static_cast<uint64_t>(elements) / info.block_elements;
    if (__builtin_mul_overflow(blocks, uint64_t(info.block_bytes), &size))
        return fail("bytes_overflow", at_,
                    "expected fewer than 2^64 bytes, found %" PRId64 " elements of %s", elements,
                    info.name);
    return {};
}

// Tensors follow each other in the order of their infos, each padded to the alignment. The last
// one's padding may be missing.
Status Parser::place_data() {
    if (contents_.tensors.empty()) {
        contents_.data_offset = bytes_.size();
        return {};
    }
    const uint64_t align = contents_.alignment;
    const auto padded = [align](uint64_t n) { return (n + align - 1) / align * align; };
    uint64_t total = 0;
    for (size_t i = 0; i < contents_.tensors.size(); ++i) {
        const uint64_t size = tensor_sizes_[i];
        if (size > kMaxInt64 - align || (total += padded(size)) > kMaxInt64)
            return fail("total_overflow", offset_fields_[i],
                        "expected all tensors to have fewer than 2^63 bytes, found more up to '%s'",
                        printable(contents_.tensors[i].name).c_str());
    }
    contents_.data_offset = padded(at_);
    if (contents_.data_offset >= bytes_.size())
        return fail("truncated_data", at_,
                    "expected %" PRIu64 " bytes of tensor data at byte %" PRIu64
                    ", found a file of %zu bytes",
                    total, contents_.data_offset, bytes_.size());
    const std::span<const std::byte> data = bytes_.subspan(contents_.data_offset);
    uint64_t next = 0;
    for (size_t i = 0; i < contents_.tensors.size(); ++i) {
        GgufTensor &tensor = contents_.tensors[i];
        const uint64_t offset = tensor.file_offset, size = tensor_sizes_[i],
                       field = offset_fields_[i];
        subject_kind_ = "tensor";
        subject_ = tensor.name;
        if (offset % align != 0)
            return fail("bad_offset", field,
                        "expected a multiple of %" PRIu64 ", found offset %" PRIu64, align, offset);
        if (offset > data.size() || size > data.size() - offset)
            return fail("tensor_past_eof", field,
                        "expected an end within the %zu bytes of data, found "
                        "offset %" PRIu64 " and %" PRIu64 " bytes",
                        data.size(), offset, size);
        if (offset < next)
            return fail("overlap", field,
                        "expected offset %" PRIu64 " after the tensors before, "
                        "found %" PRIu64 " inside one of them",
                        next, offset);
        if (offset > next)
            return fail("bad_offset", field,
                        "expected offset %" PRIu64 " right after the tensor before, "
                        "found %" PRIu64,
                        next, offset);
        tensor.file_offset = contents_.data_offset + offset;
        tensor.data = data.subspan(offset, size);
        next = offset + padded(size);
    }
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

Result<GgufContents> parse_gguf(std::span<const std::byte> bytes) { return Parser(bytes).run(); }

} // namespace realizar
