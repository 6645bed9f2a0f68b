#include "core/format/gguf_split.h"

#include "core/format/gguf_cursor.h"

#include <cstdio>

namespace realizar {
namespace {

// The value of an integer key that has one of 0 to 2^32-1; nothing otherwise.
std::optional<uint32_t> number_at(const GgufContents &contents, std::string_view key) {
    for (const GgufEntry &entry : contents.entries) {
        if (entry.key != key) continue;
        uint64_t value = ~uint64_t(0);
        if (const auto *number = std::get_if<uint64_t>(&entry.value)) value = *number;
        if (const auto *number = std::get_if<int64_t>(&entry.value))
            value = static_cast<uint64_t>(*number);
        if (value <= 0xFFFFFFFF) return static_cast<uint32_t>(value);
    }
    return std::nullopt;
}

std::string text_of(std::optional<uint32_t> number) {
    return number ? std::to_string(*number) : "none";
}

// What stands before "-00001-of-00003.gguf".
std::optional<std::string> prefix_of(const std::string &file_name, uint32_t number,
                                     uint32_t count) {
    const std::string ending = split_part_name("", number, count);
    if (file_name.size() <= ending.size() || !file_name.ends_with(ending)) return std::nullopt;
    return file_name.substr(0, file_name.size() - ending.size());
}

Status check_part(const GgufContents &part, uint32_t number, uint32_t count) {
    const auto found_number = number_at(part, kSplitNumberKey);
    const auto found_count = number_at(part, kSplitCountKey);
    if (found_number == number && found_count == count) return {};
    return make_error(Code::malformed, "split_mismatch",
                      "part %u of %u: expected split.no %u and split.count %u, found %s and %s",
                      number + 1, count, number, count, text_of(found_number).c_str(),
                      text_of(found_count).c_str());
}

} // namespace

std::string split_part_name(std::string_view prefix, uint32_t number, uint32_t count) {
    char ending[40];
    std::snprintf(ending, sizeof ending, "-%05u-of-%05u.gguf", number, count);
    return std::string(prefix) + ending;
}

Result<std::vector<std::string>> split_part_names(const GgufContents &first,
                                                  const std::string &file_name) {
    std::vector<std::string> names;
    const uint32_t count = number_at(first, kSplitCountKey).value_or(1);
    if (count <= 1) return names;
    if (count > kMaxSplitParts)
        return make_error(Code::unsupported, "too_many_parts",
                          "key 'split.count': expected at most %u parts, found %u", kMaxSplitParts,
                          count);
    const auto number = number_at(first, kSplitNumberKey);
    if (!number || *number >= count)
        return make_error(Code::malformed, "split_mismatch",
                          "key 'split.no': expected 0 to %u, found %s", count - 1,
                          text_of(number).c_str());
    const auto prefix = prefix_of(file_name, *number + 1, count);
    if (*number != 0)
        return make_error(
            Code::invalid_argument, "not_first_part",
            "expected the first of the %u parts of this model%s, found part %u", count,
            prefix ? (" (" + printable(split_part_name(*prefix, 1, count)) + ")").c_str() : "",
            *number + 1);
    if (!prefix)
        return make_error(
            Code::malformed, "split_mismatch",
            "expected a file name that ends with '%s', as the first of %u parts, found "
            "'%s'",
            split_part_name("", 1, count).c_str(), count, printable(file_name).c_str());
    for (uint32_t part = 2; part <= count; ++part)
        names.push_back(split_part_name(*prefix, part, count));
    return names;
}

Status join_split_parts(GgufContents &first, std::vector<GgufContents> rest) {
    const auto count = static_cast<uint32_t>(rest.size()) + 1;
    const auto expected = number_at(first, kSplitTensorsKey);
    for (uint32_t part = 1; part < count; ++part) {
        GgufContents &contents = rest[part - 1];
        RZ_TRY(check_part(contents, part, count));
        if (first.tensors.size() + contents.tensors.size() > GgufLimits::kTensors)
            return make_error(Code::malformed, "too_many_tensors",
                              "expected at most %llu tensors in all parts, found more",
                              static_cast<unsigned long long>(GgufLimits::kTensors));
        for (GgufTensor &tensor : contents.tensors) {
            tensor.part = part;
            first.tensors.push_back(std::move(tensor));
        }
    }
    if (expected && *expected != first.tensors.size())
        return make_error(Code::malformed, "split_mismatch",
                          "key 'split.tensors.count': expected as many tensors as the parts have, "
                          "%zu, found %u",
                          first.tensors.size(), *expected);
    if (const GgufTensor *twin = sort_by_text(first.tensors, &GgufTensor::name, first.tensor_order))
        return make_error(Code::malformed, "duplicate_tensor",
                          "part %u: expected each tensor once, found '%s' again", twin->part + 1,
                          printable(twin->name).c_str());
    std::erase_if(first.entries, [](const GgufEntry &entry) {
        return entry.key == kSplitNumberKey || entry.key == kSplitCountKey ||
               entry.key == kSplitTensorsKey;
    });
    sort_by_text(first.entries, &GgufEntry::key, first.entry_order);
    return {};
}

} // namespace realizar
