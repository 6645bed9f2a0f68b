#include "core/format/apr_model.h"
#include "core/format/gguf_split.h"
#include "core/format/mapping.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <limits>
#include <type_traits>

namespace realizar {
namespace {

// Calls visit with a value-initialised object of the C++ type of a scalar type.
template <class Visit>
auto with_scalar(GgufType type, Visit visit) {
    switch (type) {
    case GgufType::u8:
    case GgufType::boolean: return visit(uint8_t{});
    case GgufType::i8: return visit(int8_t{});
    case GgufType::u16: return visit(uint16_t{});
    case GgufType::i16: return visit(int16_t{});
    case GgufType::u32: return visit(uint32_t{});
    case GgufType::i32: return visit(int32_t{});
    case GgufType::u64: return visit(uint64_t{});
    case GgufType::i64: return visit(int64_t{});
    case GgufType::f32: return visit(float{});
    case GgufType::f64: return visit(double{});
    case GgufType::string:
    case GgufType::array: break;
    }
    return decltype(visit(uint8_t{})){};
}

template <class Number>
Number element(const GgufArray &array, uint64_t i) {
    assert(i < array.count && !array.bytes.empty());
    return with_scalar(array.element, [&](auto stored) {
        std::memcpy(&stored, array.bytes.data() + i * sizeof stored, sizeof stored);
        return static_cast<Number>(stored);
    });
}

} // namespace

double GgufArray::number(uint64_t i) const { return ::realizar::element<double>(*this, i); }

int64_t GgufArray::integer(uint64_t i) const {
    if (element != GgufType::f32 && element != GgufType::f64)
        return ::realizar::element<int64_t>(*this, i);
    // Casting a float outside the range of int64 is undefined; NaN compares false and gives 0.
    const double value = number(i);
    if (value >= 0x1p63) return std::numeric_limits<int64_t>::max();
    if (value <= -0x1p63) return std::numeric_limits<int64_t>::min();
    return value == value ? static_cast<int64_t>(value) : 0;
}

namespace {

// The format is told by the first bytes.
Result<GgufContents> parse_any(std::span<const std::byte> bytes) {
    if (is_apr(bytes)) {
        RZ_ASSIGN(AprContents apr, parse_apr(bytes));
        return contents_from_apr(std::move(apr));
    }
    if (is_apr_v1(bytes)) {
        RZ_ASSIGN(const AprV1 apr, parse_apr_v1(bytes));
        return contents_from_apr_v1(apr);
    }
    return parse_gguf(bytes);
}

} // namespace

struct GgufFile::State {
    std::vector<FileMapping> mappings; // one per part; none when the bytes belong to the caller
    uint64_t size = 0;
    std::string label;
    GgufContents contents;

    Status parse(std::span<const std::byte> bytes) {
        auto parsed = parse_any(bytes);
        if (!parsed) return std::move(parsed).error().within(label);
        contents = std::move(*parsed);
        size = bytes.size();
        return {};
    }

    // Maps and parses the parts after the first.
    Status join_parts(const std::filesystem::path &path) {
        auto names = split_part_names(contents, path.filename().native());
        if (!names) return std::move(names).error().within(label);
        if (names->empty()) return {};
        std::vector<GgufContents> parts;
        for (const std::string &name : *names) {
            const std::filesystem::path part = path.parent_path() / name;
            RZ_ASSIGN(FileMapping mapping, FileMapping::open(part));
            auto parsed = parse_gguf(mapping.bytes());
            if (!parsed) return std::move(parsed).error().within(printable(part.native(), 4096));
            size += mapping.bytes().size();
            parts.push_back(std::move(*parsed));
            mappings.push_back(std::move(mapping));
        }
        if (auto joined = join_split_parts(contents, std::move(parts)); !joined.ok())
            return std::move(joined).error().within(label);
        return {};
    }

    Status verify_unchanged() const {
        for (const FileMapping &mapping : mappings)
            RZ_TRY(mapping.verify_unchanged());
        return {};
    }
};

GgufFile::GgufFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
GgufFile::~GgufFile() = default;

Result<std::shared_ptr<const GgufFile>> GgufFile::open(const std::filesystem::path &path) {
    auto state = std::make_unique<State>();
    state->label = printable(path.native(), 4096);
    RZ_ASSIGN(FileMapping mapping, FileMapping::open(path));
    state->mappings.push_back(std::move(mapping));
    RZ_TRY(state->parse(state->mappings.front().bytes()));
    RZ_TRY(state->join_parts(path));
    RZ_TRY(state->verify_unchanged());
    return std::shared_ptr<const GgufFile>(new GgufFile(std::move(state)));
}

Result<std::shared_ptr<const GgufFile>> GgufFile::parse(std::span<const std::byte> bytes,
                                                        std::string label) {
    auto state = std::make_unique<State>();
    state->label = std::move(label);
    RZ_TRY(state->parse(bytes));
    return std::shared_ptr<const GgufFile>(new GgufFile(std::move(state)));
}

const char *GgufFile::format() const { return state_->contents.format; }
uint32_t GgufFile::version() const { return state_->contents.version; }
uint64_t GgufFile::size() const { return state_->size; }
uint32_t GgufFile::parts() const {
    return std::max(1u, static_cast<uint32_t>(state_->mappings.size()));
}
const std::string &GgufFile::label() const { return state_->label; }
std::span<const GgufEntry> GgufFile::entries() const { return state_->contents.entries; }
std::span<const GgufTensor> GgufFile::tensors() const { return state_->contents.tensors; }

namespace {

template <class Item>
const Item *find_by_text(const std::vector<Item> &items, const std::vector<uint32_t> &order,
                         std::string_view Item::*text, std::string_view wanted) {
    const auto text_of = [&](uint32_t i) { return items[i].*text; };
    const auto found = std::ranges::lower_bound(order, wanted, {}, text_of);
    return found == order.end() || text_of(*found) != wanted ? nullptr : &items[*found];
}

Error wrong_type(const std::string &label, const GgufEntry &entry, const char *expected) {
    return make_error(Code::malformed, "wrong_type", "%s: key '%s': expected %s, found %s",
                      label.c_str(), printable(entry.key).c_str(), expected,
                      gguf_type_name(entry.type));
}

template <class T>
Result<T> require(Result<std::optional<T>> found, const std::string &label, std::string_view key) {
    if (!found) return std::move(found).error();
    if (!found->has_value())
        return make_error(Code::malformed, "missing_key", "%s: expected key '%s', found none",
                          label.c_str(), printable(key).c_str());
    return **found;
}

} // namespace

const GgufEntry *GgufFile::find(std::string_view key) const {
    const GgufContents &contents = state_->contents;
    return find_by_text(contents.entries, contents.entry_order, &GgufEntry::key, key);
}

const GgufTensor *GgufFile::find_tensor(std::string_view name) const {
    const GgufContents &contents = state_->contents;
    return find_by_text(contents.tensors, contents.tensor_order, &GgufTensor::name, name);
}

Result<std::optional<uint32_t>> GgufFile::get_u32(std::string_view key) const {
    const GgufEntry *entry = find(key);
    if (entry == nullptr) return std::optional<uint32_t>();
    constexpr uint64_t kMax = std::numeric_limits<uint32_t>::max();
    uint64_t value = 0;
    if (const auto *u = std::get_if<uint64_t>(&entry->value)) {
        value = *u;
    } else if (const auto *i = std::get_if<int64_t>(&entry->value)) {
        value = static_cast<uint64_t>(*i); // a negative number becomes one above kMax
    } else {
        return wrong_type(label(), *entry, "an integer");
    }
    if (value > kMax)
        return make_error(Code::malformed, "wrong_type",
                          "%s: key '%s': expected an integer of 0 to 2^32-1, found %" PRId64,
                          label().c_str(), printable(key).c_str(), static_cast<int64_t>(value));
    return std::optional<uint32_t>(static_cast<uint32_t>(value));
}

Result<std::optional<float>> GgufFile::get_f32(std::string_view key) const {
    const GgufEntry *entry = find(key);
    if (entry == nullptr) return std::optional<float>();
    const auto *value = std::get_if<double>(&entry->value);
    if (value == nullptr) return wrong_type(label(), *entry, "a float");
    return std::optional<float>(static_cast<float>(*value));
}

Result<std::optional<bool>> GgufFile::get_bool(std::string_view key) const {
    const GgufEntry *entry = find(key);
    if (entry == nullptr) return std::optional<bool>();
    const auto *value = std::get_if<bool>(&entry->value);
    if (value == nullptr) return wrong_type(label(), *entry, "a bool");
    return std::optional<bool>(*value);
}

Result<std::optional<std::string_view>> GgufFile::get_string(std::string_view key) const {
    const GgufEntry *entry = find(key);
    if (entry == nullptr) return std::optional<std::string_view>();
    const auto *value = std::get_if<std::string_view>(&entry->value);
    if (value == nullptr) return wrong_type(label(), *entry, "a string");
    return std::optional<std::string_view>(*value);
}

Result<const GgufArray *> GgufFile::get_array(std::string_view key) const {
    const GgufEntry *entry = find(key);
    if (entry == nullptr) return static_cast<const GgufArray *>(nullptr);
    const auto *value = std::get_if<GgufArray>(&entry->value);
    if (value == nullptr) return wrong_type(label(), *entry, "an array");
    return value;
}

Result<uint32_t> GgufFile::require_u32(std::string_view key) const {
    return require(get_u32(key), label(), key);
}
Result<float> GgufFile::require_f32(std::string_view key) const {
    return require(get_f32(key), label(), key);
}
Result<std::string_view> GgufFile::require_string(std::string_view key) const {
    return require(get_string(key), label(), key);
}

Status GgufFile::verify_unchanged() const { return state_->verify_unchanged(); }

void GgufFile::drop_pages(std::span<const std::byte> span) const {
    for (const FileMapping &mapping : state_->mappings) // those without the span ignore it
        mapping.drop_pages(span);
}

} // namespace realizar
