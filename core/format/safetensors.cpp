#include "core/format/safetensors.h"

#include "core/format/json_bounded.h"
#include "core/format/mapping.h"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>

namespace realizar {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = uint64_t(32) << 20;
constexpr size_t kMaxTensors = 65536;
constexpr size_t kMaxRank = 4;

struct TypeName {
    const char *name;
    DType dtype;
};
constexpr TypeName kTypes[] = {{"F32", DType::F32}, {"F16", DType::F16}, {"BF16", DType::BF16}};

[[gnu::format(printf, 3, 4)]] Error bad_tensor(const char *tag, const std::string &name,
                                               const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return make_error(Code::malformed, tag, "tensor '%s': %s", printable(name).c_str(), text);
}

Result<DType> read_dtype(const std::string &name, const json &field) {
    const auto text = field.is_string() ? field.get<std::string>() : std::string();
    const auto same = [&](const TypeName &row) { return text == row.name; };
    const auto row = std::ranges::find_if(kTypes, same);
    if (row != std::end(kTypes)) return row->dtype;
    return make_error(Code::unsupported, "bad_dtype",
                      "tensor '%s': expected F32, F16 or BF16, found '%s'", printable(name).c_str(),
                      printable(text).c_str());
}

// Dimensions, and the number of bytes that they mean.
Status read_shape(SafeTensor &tensor, const json &shape, uint64_t &bytes) {
    if (!shape.is_array()) return bad_tensor("bad_header", tensor.name, "expected a shape");
    if (shape.size() > kMaxRank)
        return bad_tensor("too_many_dims", tensor.name,
                          "expected at most %zu dimensions, found %zu", kMaxRank, shape.size());
    int64_t elements = 1;
    for (const json &dim : shape) {
        if (!dim.is_number_unsigned() || dim.get<uint64_t>() > INT64_MAX)
            return bad_tensor("bad_dim", tensor.name, "expected whole dimensions below 2^63");
        tensor.dims.push_back(static_cast<int64_t>(dim.get<uint64_t>()));
        if (tensor.dims.back() == 0)
            return bad_tensor("zero_dim", tensor.name,
                              "expected dimensions of at least 1, found 0");
        if (__builtin_mul_overflow(elements, tensor.dims.back(), &elements))
            return bad_tensor("elements_overflow", tensor.name,
                              "expected fewer than 2^63 elements");
    }
    if (tensor.dims.empty()) tensor.dims.push_back(1); // a scalar
    const uint32_t size = dtype_info(tensor.dtype).block_bytes;
    if (__builtin_mul_overflow(static_cast<uint64_t>(elements), uint64_t(size), &bytes))
        return bad_tensor("elements_overflow", tensor.name, "expected fewer than 2^64 bytes");
    return {};
}

Result<SafeTensor> read_tensor(const std::string &name, const json &item,
                               std::span<const std::byte> data) {
    SafeTensor tensor{name, DType::F32, {}, {}};
    if (!item.is_object() || !item.contains("dtype") || !item.contains("shape") ||
        !item.contains("data_offsets"))
        return bad_tensor("bad_header", name, "expected dtype, shape and data_offsets");
    RZ_ASSIGN(tensor.dtype, read_dtype(name, item["dtype"]));
    uint64_t bytes = 0;
    RZ_TRY(read_shape(tensor, item["shape"], bytes));
    const json &offsets = item["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
        return bad_tensor("bad_header", name, "expected data_offsets of two whole numbers");
    const auto begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
    if (begin > end || end > data.size())
        return bad_tensor("bad_offset", name,
                          "expected offsets within %zu bytes of data, found %" PRIu64
                          " to %" PRIu64,
                          data.size(), begin, end);
    if (end - begin != bytes)
        return bad_tensor("size_mismatch", name,
                          "expected %" PRIu64 " bytes for its shape, found %" PRIu64, bytes,
                          end - begin);
    tensor.data = data.subspan(begin, bytes);
    return tensor;
}

// Back to back, and nothing but tensors: hidden bytes or shared ones are signs of tampering.
Status check_cover(const std::vector<SafeTensor> &tensors, std::span<const std::byte> data) {
    std::vector<const SafeTensor *> order;
    for (const SafeTensor &tensor : tensors)
        order.push_back(&tensor);
    std::ranges::sort(order, {}, [](const SafeTensor *t) { return t->data.data(); });
    const std::byte *next = data.data();
    for (const SafeTensor *tensor : order) {
        if (tensor->data.data() != next)
            return bad_tensor("bad_offset", tensor->name,
                              "expected offset %td right after the tensor before, found %td",
                              next - data.data(), tensor->data.data() - data.data());
        next += tensor->data.size();
    }
    if (next != data.data() + data.size())
        return make_error(Code::malformed, "bad_offset",
                          "expected %td bytes of data as the header says, found %zu",
                          next - data.data(), data.size());
    return {};
}

Result<std::vector<SafeTensor>> parse_tensors(std::span<const std::byte> bytes) {
    uint64_t size = 0;
    if (bytes.size() < sizeof size)
        return make_error(Code::malformed, "truncated_header",
                          "expected 8 bytes of header size, found a file of %zu", bytes.size());
    std::memcpy(&size, bytes.data(), sizeof size);
    const uint64_t left = bytes.size() - sizeof size;
    if (size > left)
        return make_error(Code::malformed, "truncated_header",
                          "byte 0: expected a header within %" PRIu64 " bytes, found size %" PRIu64,
                          left, size);
    if (size > kMaxHeader)
        return make_error(Code::malformed, "header_too_large",
                          "byte 0: expected a header of at most %" PRIu64 " bytes, found %" PRIu64,
                          kMaxHeader, size);
    const std::string_view text(reinterpret_cast<const char *>(bytes.data()) + sizeof size, size);
    const std::span<const std::byte> data = bytes.subspan(sizeof size + size);
    RZ_ASSIGN(const json header, parse_json(text));
    if (!header.is_object())
        return make_error(Code::malformed, "bad_header", "expected a JSON object as header");
    if (header.size() > kMaxTensors)
        return make_error(Code::malformed, "too_many_tensors",
                          "expected at most %zu tensors, found %zu", kMaxTensors, header.size());
    std::vector<SafeTensor> tensors;
    tensors.reserve(header.size());
    for (const auto &[name, item] : header.items()) { // json objects are sorted by key
        if (name == "__metadata__") continue;
        RZ_ASSIGN(SafeTensor tensor, read_tensor(name, item, data));
        tensors.push_back(std::move(tensor));
    }
    RZ_TRY(check_cover(tensors, data));
    return tensors;
}

} // namespace

struct SafetensorsFile::State {
    FileMapping mapping; // empty when the bytes belong to the caller
    std::span<const std::byte> bytes;
    std::string label;
    std::vector<SafeTensor> tensors;
};

SafetensorsFile::SafetensorsFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
SafetensorsFile::~SafetensorsFile() = default;

Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::load(std::unique_ptr<State> state) {
    auto tensors = parse_tensors(state->bytes);
    if (!tensors) return std::move(tensors).error().within(state->label);
    state->tensors = std::move(*tensors);
    RZ_TRY(state->mapping.verify_unchanged());
    return std::shared_ptr<const SafetensorsFile>(new SafetensorsFile(std::move(state)));
}

Result<std::shared_ptr<const SafetensorsFile>>
SafetensorsFile::open(const std::filesystem::path &path) {
    auto state = std::make_unique<State>();
    RZ_ASSIGN(state->mapping, FileMapping::open(path));
    state->bytes = state->mapping.bytes();
    state->label = printable(path.native(), 4096);
    return load(std::move(state));
}

Result<std::shared_ptr<const SafetensorsFile>>
SafetensorsFile::parse(std::span<const std::byte> bytes, std::string label) {
    auto state = std::make_unique<State>();
    state->bytes = bytes;
    state->label = std::move(label);
    return load(std::move(state));
}

const std::string &SafetensorsFile::label() const { return state_->label; }
std::span<const SafeTensor> SafetensorsFile::tensors() const { return state_->tensors; }

const SafeTensor *SafetensorsFile::find(std::string_view name) const {
    const auto found = std::ranges::lower_bound(state_->tensors, name, {}, &SafeTensor::name);
    return found == state_->tensors.end() || found->name != name ? nullptr : &*found;
}

Status SafetensorsFile::verify_unchanged() const { return state_->mapping.verify_unchanged(); }
void SafetensorsFile::drop_pages(std::span<const std::byte> span) const {
    state_->mapping.drop_pages(span);
}

namespace {

constexpr const char *kSingle = "model.safetensors";
constexpr const char *kIndex = "model.safetensors.index.json";

Error bad_index(const std::string &what) {
    return make_error(Code::malformed, "bad_index", "%s: %s", kIndex, what.c_str());
}

// Tensor name to shard, as the index has it.
Result<std::map<std::string, std::string>> read_index(const std::filesystem::path &path) {
    RZ_ASSIGN(const std::string text, read_small_file(path, kMaxHeader));
    auto parsed = parse_json(text);
    if (!parsed) return std::move(parsed).error().within(kIndex);
    if (!parsed->is_object() || !parsed->contains("weight_map") ||
        !(*parsed)["weight_map"].is_object())
        return bad_index("expected an object 'weight_map'");
    std::map<std::string, std::string> shards;
    for (const auto &[name, shard] : (*parsed)["weight_map"].items()) {
        if (!shard.is_string()) return bad_index("expected file names as values of 'weight_map'");
        const auto file = shard.get<std::string>();
        if (file.empty() || file == "." || file == ".." || file.find('/') != file.npos ||
            file.find('\0') != file.npos)
            return make_error(Code::malformed, "bad_shard_name",
                              "%s: expected a plain file name for tensor '%s', found '%s'", kIndex,
                              printable(name).c_str(), printable(file).c_str());
        shards.emplace(name, file);
    }
    return shards;
}

} // namespace

Result<SafetensorsFolder> SafetensorsFolder::open(const std::filesystem::path &folder) {
    SafetensorsFolder result;
    std::error_code ignored;
    if (!std::filesystem::exists(folder / kIndex, ignored)) {
        RZ_ASSIGN(auto file, SafetensorsFile::open(folder / kSingle));
        for (const SafeTensor &tensor : file->tensors())
            result.items_.push_back({&tensor, file.get()});
        result.files_.push_back(std::move(file));
        return result;
    }
    RZ_ASSIGN(const auto shards, read_index(folder / kIndex));
    std::map<std::string, const SafetensorsFile *> files;
    size_t present = 0;
    for (const auto &[name, shard] : shards) {
        const SafetensorsFile *&file = files[shard];
        if (file == nullptr) {
            RZ_ASSIGN(auto opened, SafetensorsFile::open(folder / shard));
            present += opened->tensors().size();
            file = opened.get();
            result.files_.push_back(std::move(opened));
        }
        const SafeTensor *tensor = file->find(name);
        if (tensor == nullptr)
            return make_error(Code::malformed, "shard_mismatch",
                              "%s: expected tensor '%s', found none", file->label().c_str(),
                              printable(name).c_str());
        result.items_.push_back({tensor, file});
    }
    if (present != result.items_.size())
        return make_error(Code::malformed, "shard_mismatch",
                          "%s: expected %zu tensors as in the shards, found %zu", kIndex, present,
                          result.items_.size());
    return result;
}

const SafetensorsFolder::Item *SafetensorsFolder::find(std::string_view name) const {
    const auto name_of = [](const Item &item) { return std::string_view(item.tensor->name); };
    const auto found = std::ranges::lower_bound(items_, name, {}, name_of);
    return found == items_.end() || name_of(*found) != name ? nullptr : &*found;
}

Status SafetensorsFolder::verify_unchanged() const {
    for (const auto &file : files_)
        RZ_TRY(file->verify_unchanged());
    return {};
}

} // namespace realizar
