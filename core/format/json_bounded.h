// JSON from outside, bounded before a document exists.
#pragma once

#include "core/common/result.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string_view>

namespace realizar {

// A document of kValues values takes at most about 40 MiB beside its strings. The depth limit also
// keeps the library's recursive destructor and copy from running out of stack.
struct JsonLimits {
    uint32_t depth = 32;
    uint64_t values = 400'000;
};

// Tags: bad_json (syntax), json_too_deep, json_too_large, duplicate_key. Messages have the offset.
Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits &limits = {});

} // namespace realizar
