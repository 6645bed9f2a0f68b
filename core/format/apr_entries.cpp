#include "core/format/apr_entries.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace realizar {
namespace {

using nlohmann::json;

bool is_utf8(std::string_view text) {
    // The library's own check, when it writes, is the one that counts.
    try {
        (void)json(text).dump();
        return true;
    } catch (const json::exception &) {
        return false;
    }
}

Error not_utf8(std::string_view key) {
    return make_error(Code::unsupported, "not_utf8",
                      "key '%s': expected text of UTF-8, which JSON needs, found other bytes",
                      printable(key).c_str());
}

Error bad_value(const char *expected) {
    return make_error(Code::malformed, "bad_metadata", "expected %s", expected);
}

json number_json(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return value;
}

bool is_real(GgufType type) { return type == GgufType::f32 || type == GgufType::f64; }

std::string_view name_of(GgufType type) { return gguf_type_name(type); }

Result<GgufType> type_of(std::string_view name) {
    for (uint32_t id = 0; id <= static_cast<uint32_t>(GgufType::f64); ++id)
        if (const auto type = static_cast<GgufType>(id); name_of(type) == name) return type;
    return bad_value("the name of a GGUF value type");
}

Result<json> array_json(const GgufEntry &entry, const GgufArray &array) {
    json out = json::array();
    for (uint64_t i = 0; i < array.count; ++i) {
        if (array.element == GgufType::string) {
            if (!is_utf8(array.strings[i])) return not_utf8(entry.key);
            out.push_back(array.strings[i]);
        } else if (is_real(array.element)) {
            out.push_back(number_json(array.number(i)));
        } else if (array.element == GgufType::u64) {
            out.push_back(static_cast<uint64_t>(array.integer(i)));
        } else {
            out.push_back(array.integer(i));
        }
    }
    return out;
}

// Appends the number as it stands in a GGUF file; false if it does not fit the type.
template <class T>
bool append_number(const json &value, std::string &out) {
    T stored{};
    if constexpr (std::is_floating_point_v<T>) {
        if (value == "nan")
            stored = std::numeric_limits<T>::quiet_NaN();
        else if (value == "inf" || value == "-inf")
            stored = value == "inf" ? std::numeric_limits<T>::infinity()
                                    : -std::numeric_limits<T>::infinity();
        else if (value.is_number())
            stored = static_cast<T>(value.get<double>());
        else
            return false;
    } else if constexpr (std::is_same_v<T, uint64_t>) {
        if (!value.is_number_unsigned()) return false;
        stored = value.get<uint64_t>();
    } else {
        if (!value.is_number_integer()) return false;
        const auto wide = value.get<int64_t>();
        stored = static_cast<T>(wide);
        if (static_cast<int64_t>(stored) != wide ||
            (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX)))
            return false;
    }
    out.append(reinterpret_cast<const char *>(&stored), sizeof stored);
    return true;
}

bool append_scalar(GgufType type, const json &value, std::string &out) {
    switch (type) {
    case GgufType::u8: return append_number<uint8_t>(value, out);
    case GgufType::i8: return append_number<int8_t>(value, out);
    case GgufType::u16: return append_number<uint16_t>(value, out);
    case GgufType::i16: return append_number<int16_t>(value, out);
    case GgufType::u32: return append_number<uint32_t>(value, out);
    case GgufType::i32: return append_number<int32_t>(value, out);
    case GgufType::u64: return append_number<uint64_t>(value, out);
    case GgufType::i64: return append_number<int64_t>(value, out);
    case GgufType::f32: return append_number<float>(value, out);
    case GgufType::f64: return append_number<double>(value, out);
    case GgufType::boolean: return append_number<uint8_t>(value, out) && out.back() <= 1;
    case GgufType::string:
    case GgufType::array: break;
    }
    return false;
}

GgufValue widened(GgufType type, const std::string &bytes) {
    GgufArray one;
    one.element = type;
    one.count = 1;
    one.bytes = std::as_bytes(std::span(bytes));
    if (is_real(type)) return one.number(0);
    if (type == GgufType::boolean) return one.integer(0) != 0;
    const bool is_signed = type == GgufType::i8 || type == GgufType::i16 || type == GgufType::i32 ||
                           type == GgufType::i64;
    if (is_signed) return one.integer(0);
    return static_cast<uint64_t>(one.integer(0));
}

Result<std::vector<std::string>> strings_of(const json &value) {
    std::vector<std::string> out;
    for (const json &item : value) {
        if (!item.is_string()) return bad_value("an array of texts");
        out.push_back(item.get<std::string>());
    }
    return out;
}

Status add_array(EntryMaker &maker, const std::string &key, std::string_view element_name,
                 const json &value) {
    RZ_ASSIGN(const GgufType element, type_of(element_name));
    if (!value.is_array()) return bad_value("an array");
    if (element == GgufType::string) {
        RZ_ASSIGN(std::vector<std::string> strings, strings_of(value));
        maker.add_strings(key, std::move(strings));
        return {};
    }
    std::string bytes;
    for (const json &item : value)
        if (!append_scalar(element, item, bytes)) return bad_value("numbers of the array's type");
    maker.add_array(key, element, value.size(), std::move(bytes));
    return {};
}

Status add_entry(EntryMaker &maker, const std::string &key, std::string_view type_name,
                 const json &value) {
    constexpr std::string_view kArray = "array:";
    if (type_name.starts_with(kArray))
        return add_array(maker, key, type_name.substr(kArray.size()), value);
    RZ_ASSIGN(const GgufType type, type_of(type_name));
    if (type == GgufType::string) {
        if (!value.is_string()) return bad_value("a text");
        maker.add_string(key, value.get<std::string>());
        return {};
    }
    std::string bytes;
    if (!append_scalar(type, value, bytes)) return bad_value("a number of the entry's type");
    maker.add(key, type, widened(type, bytes));
    return {};
}

const SharedKey *shared_key(std::string_view gguf) {
    for (const SharedKey &row : kSharedKeys)
        if (gguf == row.gguf) return &row;
    return nullptr;
}

} // namespace

Result<json> value_to_json(const GgufEntry &entry) {
    if (const auto *array = std::get_if<GgufArray>(&entry.value)) return array_json(entry, *array);
    if (const auto *text = std::get_if<std::string_view>(&entry.value)) {
        if (!is_utf8(*text)) return not_utf8(entry.key);
        return json(*text);
    }
    if (const auto *number = std::get_if<double>(&entry.value)) return number_json(*number);
    if (const auto *flag = std::get_if<bool>(&entry.value)) return json(int(*flag));
    if (const auto *number = std::get_if<uint64_t>(&entry.value)) return json(*number);
    return json(std::get<int64_t>(entry.value));
}

Result<json> entries_to_json(std::span<const GgufEntry> entries) {
    json out = json::array();
    for (const GgufEntry &entry : entries) {
        std::string type(name_of(entry.type));
        if (const auto *array = std::get_if<GgufArray>(&entry.value))
            type += ":" + std::string(name_of(array->element));
        json value;
        if (!shared_key(entry.key)) {
            RZ_ASSIGN(value, value_to_json(entry));
        }
        out.push_back({entry.key, std::move(type), std::move(value)});
    }
    return out;
}

Status entries_from_json(const json &list, const json &shared, GgufContents &contents) {
    if (!list.is_array()) return bad_value("'gguf' to be an array of entries");
    EntryMaker maker(contents);
    for (const json &item : list) {
        if (!item.is_array() || item.size() != 3 || !item[0].is_string() || !item[1].is_string())
            return bad_value("each entry of 'gguf' to be [key, type, value]");
        const auto key = item[0].get<std::string>(), type = item[1].get<std::string>();
        const json *value = &item[2];
        if (const SharedKey *row = shared_key(key); row && value->is_null()) {
            const auto found = shared.find(row->apr);
            if (found == shared.end())
                return std::move(bad_value("it under the key of its own")).within(printable(key));
            value = &*found;
        }
        if (auto status = add_entry(maker, key, type, *value); !status.ok())
            return std::move(status).error().within("key '" + printable(key) + "'");
    }
    return {};
}

} // namespace realizar
