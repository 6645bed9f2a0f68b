#include "core/format/file_writer.h"
#include "core/format/gguf_parse.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstring>
#include <unordered_set>
#include <utility>

namespace realizar {
namespace {

constexpr uint32_t kVersion = 3;

template <class T>
void append(std::string &out, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
}

void append_string(std::string &out, std::string_view text) {
    append(out, uint64_t(text.size()));
    out.append(text);
}

template <class T>
std::string scalar(GgufType type, T value) {
    std::string out;
    append(out, static_cast<uint32_t>(type));
    append(out, value);
    return out;
}

std::string array_head(GgufType element, uint64_t count) {
    std::string out;
    append(out, static_cast<uint32_t>(GgufType::array));
    append(out, static_cast<uint32_t>(element));
    append(out, count);
    return out;
}

template <class T>
std::string scalar_array(GgufType element, const std::vector<T> &values) {
    std::string out = array_head(element, values.size());
    out.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
    return out;
}

template <class Strings>
std::string string_array(const Strings &values) {
    std::string out = array_head(GgufType::string, values.size());
    for (const auto &value : values)
        append_string(out, value);
    return out;
}

// Type and value as they stand in a file.
std::string serialize(const GgufEntry &entry) {
    if (const auto *array = std::get_if<GgufArray>(&entry.value)) {
        if (array->element == GgufType::string) return string_array(array->strings);
        std::string out = array_head(array->element, array->count);
        out.append(reinterpret_cast<const char *>(array->bytes.data()), array->bytes.size());
        return out;
    }
    if (const auto *text = std::get_if<std::string_view>(&entry.value)) {
        std::string out;
        append(out, static_cast<uint32_t>(GgufType::string));
        append_string(out, *text);
        return out;
    }
    if (const auto *number = std::get_if<double>(&entry.value)) {
        return entry.type == GgufType::f32 ? scalar(entry.type, static_cast<float>(*number))
                                           : scalar(entry.type, *number);
    }
    uint64_t bits = 0;
    if (const auto *flag = std::get_if<bool>(&entry.value)) bits = *flag;
    if (const auto *number = std::get_if<uint64_t>(&entry.value)) bits = *number;
    if (const auto *number = std::get_if<int64_t>(&entry.value))
        bits = static_cast<uint64_t>(*number);
    std::string out = scalar(entry.type, bits);
    out.resize(sizeof(uint32_t) + gguf_scalar_bytes(entry.type)); // little-endian: low bytes first
    return out;
}

struct TensorInfo {
    std::string name;
    DType dtype;
    std::vector<int64_t> dims;
    uint64_t bytes = 0;
    uint64_t offset = 0;
};

Error usage(const char *tag, const std::string &message) {
    return make_error(Code::invalid_argument, tag, "%s", message.c_str());
}

Status measure(TensorInfo &tensor) {
    const DTypeInfo &info = dtype_info(tensor.dtype);
    const std::string who = "tensor '" + printable(tensor.name) + "': ";
    if (tensor.name.empty() || tensor.name.size() > GgufLimits::kNameBytes)
        return usage("name_too_long", who + "expected a name of 1 to 63 bytes, found " +
                                          std::to_string(tensor.name.size()));
    if (!gguf_is_clean_text(tensor.name))
        return usage("bad_name", who + "expected UTF-8 without control bytes");
    if (tensor.dims.empty() || tensor.dims.size() > GgufLimits::kRank)
        return usage("too_many_dims", who + "expected 1 to 4 dimensions, found " +
                                          std::to_string(tensor.dims.size()));
    uint64_t elements = 1;
    for (const int64_t dim : tensor.dims) {
        if (dim <= 0)
            return usage("bad_dim",
                         who + "expected positive dimensions, found " + std::to_string(dim));
        if (__builtin_mul_overflow(elements, static_cast<uint64_t>(dim), &elements))
            return usage("elements_overflow", who + "expected fewer than 2^64 elements");
    }
    if (tensor.dims.back() % info.block_elements != 0)
        return usage("row_not_block_multiple", who + "expected rows of a multiple of " +
                                                   std::to_string(info.block_elements) +
                                                   " elements for " + info.name + ", found " +
                                                   std::to_string(tensor.dims.back()));
    if (elements / info.block_elements > (uint64_t(1) << 62) / info.block_bytes)
        return usage("bytes_overflow", who + "expected at most 2^62 bytes");
    tensor.bytes = row_bytes(info, elements);
    return {};
}

} // namespace

struct GgufWriter::State {
    std::vector<std::pair<std::string, std::string>> entries; // key, type and value as in the file
    std::vector<TensorInfo> tensors;
    uint32_t alignment = kGgufDefaultAlignment;

    FileWriter file;
    size_t current = 0;   // tensor being written
    uint64_t written = 0; // bytes of it so far

    void set(std::string key, std::string value) {
        const auto same = [&](const auto &entry) { return entry.first == key; };
        const auto found = std::ranges::find_if(entries, same);
        if (found != entries.end()) {
            found->second = std::move(value);
        } else {
            entries.emplace_back(std::move(key), std::move(value));
        }
    }

    uint64_t padding(uint64_t size) const { return (alignment - size % alignment) % alignment; }

    Status lay_out();
    std::string head() const;
};

// Checks names, shapes and alignment, and gives every tensor its offset.
Status GgufWriter::State::lay_out() {
    for (const auto &[key, value] : entries) {
        if (key.empty() || key.size() > GgufLimits::kKeyBytes || !gguf_is_clean_text(key))
            return usage("bad_key", "expected keys of 1 to 65535 bytes of UTF-8 without control "
                                    "bytes, found '" +
                                        printable(key) + "'");
        if (key != kGgufAlignmentKey) continue;
        uint32_t type = 0;
        std::memcpy(&type, value.data(), sizeof type);
        if (type != static_cast<uint32_t>(GgufType::u32))
            return usage("wrong_type", "general.alignment: expected uint32");
        std::memcpy(&alignment, value.data() + sizeof type, sizeof alignment);
        if (!std::has_single_bit(alignment) || alignment < GgufLimits::kMinAlignment ||
            alignment > GgufLimits::kAlignment)
            return usage("bad_alignment",
                         "general.alignment: expected a power of two of 8 to 65536, "
                         "found " +
                             std::to_string(alignment));
    }
    uint64_t offset = 0;
    std::unordered_set<std::string_view> names;
    for (TensorInfo &tensor : tensors) {
        RZ_TRY(measure(tensor));
        if (!names.insert(tensor.name).second)
            return usage("duplicate_tensor",
                         "expected each tensor once, found '" + printable(tensor.name) + "' again");
        tensor.offset = offset;
        offset += tensor.bytes + padding(tensor.bytes);
        if (offset > uint64_t(1) << 62)
            return usage("total_overflow", "expected at most 2^62 bytes");
    }
    return {};
}

std::string GgufWriter::State::head() const {
    std::string out = "GGUF";
    append(out, kVersion);
    append(out, uint64_t(tensors.size()));
    append(out, uint64_t(entries.size()));
    for (const auto &[key, value] : entries) {
        append_string(out, key);
        out += value;
    }
    for (const TensorInfo &tensor : tensors) {
        append_string(out, tensor.name);
        append(out, static_cast<uint32_t>(tensor.dims.size()));
        for (auto dim = tensor.dims.rbegin(); dim != tensor.dims.rend(); ++dim)
            append(out, static_cast<uint64_t>(*dim));
        append(out, static_cast<uint32_t>(tensor.dtype));
        append(out, tensor.offset);
    }
    if (!tensors.empty()) out.append(padding(out.size()), '\0');
    return out;
}

GgufWriter::GgufWriter() : state_(std::make_unique<State>()) {}
GgufWriter::~GgufWriter() = default;
GgufWriter::GgufWriter(GgufWriter &&) noexcept = default;

void GgufWriter::set_u16(std::string key, uint16_t value) {
    state_->set(std::move(key), scalar(GgufType::u16, value));
}
void GgufWriter::set_u32(std::string key, uint32_t value) {
    state_->set(std::move(key), scalar(GgufType::u32, value));
}
void GgufWriter::set_i32(std::string key, int32_t value) {
    state_->set(std::move(key), scalar(GgufType::i32, value));
}
void GgufWriter::set_u64(std::string key, uint64_t value) {
    state_->set(std::move(key), scalar(GgufType::u64, value));
}
void GgufWriter::set_f32(std::string key, float value) {
    state_->set(std::move(key), scalar(GgufType::f32, value));
}
void GgufWriter::set_bool(std::string key, bool value) {
    state_->set(std::move(key), scalar(GgufType::boolean, uint8_t(value)));
}
void GgufWriter::set_string(std::string key, std::string_view value) {
    std::string out;
    append(out, static_cast<uint32_t>(GgufType::string));
    append_string(out, value);
    state_->set(std::move(key), std::move(out));
}
void GgufWriter::set_string_array(std::string key, const std::vector<std::string> &values) {
    state_->set(std::move(key), string_array(values));
}
void GgufWriter::set_f32_array(std::string key, const std::vector<float> &values) {
    state_->set(std::move(key), scalar_array(GgufType::f32, values));
}
void GgufWriter::set_i32_array(std::string key, const std::vector<int32_t> &values) {
    state_->set(std::move(key), scalar_array(GgufType::i32, values));
}
void GgufWriter::copy(const GgufEntry &entry) {
    state_->set(std::string(entry.key), serialize(entry));
}
void GgufWriter::add_tensor(std::string name, DType dtype, std::vector<int64_t> dims) {
    state_->tensors.push_back({std::move(name), dtype, std::move(dims)});
}

Status GgufWriter::begin(const std::filesystem::path &path) {
    if (state_->file.is_open()) return usage("writer_order", "expected begin() once");
    RZ_TRY(state_->lay_out());
    RZ_TRY(state_->file.create(path));
    const std::string head = state_->head();
    return state_->file.write(std::as_bytes(std::span(head)));
}

Status GgufWriter::write_tensor(std::span<const std::byte> data) {
    State &state = *state_;
    if (!state.file.is_open())
        return usage("writer_order", "expected begin() to have succeeded before tensor data");
    if (state.current == state.tensors.size())
        return usage("writer_order", "expected no data after the last tensor");
    const TensorInfo &tensor = state.tensors[state.current];
    if (data.size() > tensor.bytes - state.written)
        return usage("data_too_long", "tensor '" + printable(tensor.name) + "': expected " +
                                          std::to_string(tensor.bytes - state.written) +
                                          " more bytes, found " + std::to_string(data.size()));
    RZ_TRY(state.file.write(data));
    state.written += data.size();
    if (state.written < tensor.bytes) return {};
    state.written = 0;
    ++state.current;
    return state.file.pad(state.padding(tensor.bytes));
}

Status GgufWriter::finish() {
    State &state = *state_;
    if (!state.file.is_open() || state.current != state.tensors.size())
        return usage("writer_order", "expected all " + std::to_string(state.tensors.size()) +
                                         " tensors before finish(), found " +
                                         std::to_string(state.current));
    return state.file.finish();
}

} // namespace realizar
