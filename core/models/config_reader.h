// Keys of one architecture in a model file, with bounds: every number of a file is checked before it
// sizes anything.
#pragma once

#include "core/format/gguf.h"

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

namespace realizar {

class ConfigReader {
  public:
    ConfigReader(const GgufFile &file, std::string prefix)
        : file_(file), prefix_(std::move(prefix)) {}

    Result<uint32_t> size(const std::string &name, uint32_t limit) const {
        if (!has(name)) return file_.require_u32(prefix_ + name); // the error
        return size_or(name, limit, 0);
    }
    Result<uint32_t> size_or(const std::string &name, uint32_t limit, uint32_t fallback) const {
        RZ_ASSIGN(const auto value, number(name));
        return value ? checked(name, *value, 1, limit) : Result<uint32_t>(fallback);
    }
    // 0 to limit, 0 where the file has no such key.
    Result<uint32_t> count(const std::string &name, uint32_t limit) const {
        RZ_ASSIGN(const auto value, number(name));
        return checked(name, value.value_or(0), 0, limit);
    }
    Result<bool> flag_or(const std::string &name, bool fallback) const {
        RZ_ASSIGN(const auto value, file_.get_bool(prefix_ + name));
        return value.value_or(fallback);
    }
    Result<float> positive_or(const std::string &name, float fallback) const {
        RZ_ASSIGN(const auto value, file_.get_f32(prefix_ + name));
        return value ? checked(name, *value) : Result<float>(fallback);
    }
    // As positive_or, but a zero in the file means `fallback` too.
    Result<float> positive_or_zero(const std::string &name, float fallback) const {
        RZ_ASSIGN(const auto value, file_.get_f32(prefix_ + name));
        return value && *value != 0 ? checked(name, *value) : Result<float>(fallback);
    }
    Result<float> positive(const std::string &name) const {
        RZ_ASSIGN(const float value, file_.require_f32(prefix_ + name));
        return checked(name, value);
    }
    Result<std::string> text_or(const std::string &name, const std::string &fallback) const {
        RZ_ASSIGN(const auto value, file_.get_string(prefix_ + name));
        return value ? std::string(*value) : fallback;
    }
    bool has(const std::string &name) const { return file_.find(prefix_ + name) != nullptr; }
    const GgufEntry *find(const std::string &name) const { return file_.find(prefix_ + name); }
    Error bad(const std::string &name, const std::string &expected,
              const std::string &found) const {
        return make_error(Code::malformed, "bad_hparam", "key '%s%s': expected %s, found %s",
                          prefix_.c_str(), name.c_str(), expected.c_str(), found.c_str());
    }

  private:
    // An integer, or one per layer where all are the same.
    Result<std::optional<uint32_t>> number(const std::string &name) const {
        const GgufEntry *entry = find(name);
        const auto *list = entry ? std::get_if<GgufArray>(&entry->value) : nullptr;
        if (!list || list->count == 0 || !list->strings.empty())
            return file_.get_u32(prefix_ + name);
        const int64_t first = list->integer(0);
        for (uint64_t i = 0; i < list->count; ++i)
            if (list->integer(i) != first || first < 0 || first > UINT32_MAX)
                return bad(name, "the same size in all layers",
                           std::to_string(first) + " and " + std::to_string(list->integer(i)));
        return std::optional<uint32_t>(static_cast<uint32_t>(first));
    }
    Result<uint32_t> checked(const std::string &name, uint32_t value, uint32_t least,
                             uint32_t limit) const {
        if (value >= least && value <= limit) return value;
        return bad(name, std::to_string(least) + " to " + std::to_string(limit),
                   std::to_string(value));
    }
    Result<float> checked(const std::string &name, float value) const {
        if (std::isfinite(value) && value > 0) return value;
        return bad(name, "a positive finite number", std::to_string(value));
    }

    const GgufFile &file_;
    std::string prefix_;
};

} // namespace realizar
