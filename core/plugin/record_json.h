// PluginRecord as JSON: between the probe and its parent, and in the cache of probe results.
#pragma once

#include "core/common/result.h"
#include "core/plugin/registry.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace realizar {

nlohmann::json to_json(const PluginRecord &record);

// Checks types, lengths and the id; what is missing keeps its default. Tag: bad_record.
Result<PluginRecord> record_from_json(const nlohmann::json &json);

// Parses text that may be damaged or hostile: levels below kMaxJsonDepth are dropped before they
// exist in memory. Tag: bad_json.
constexpr int kMaxJsonDepth = 16;
Result<nlohmann::json> parse_json(std::string_view text);

// One line, always valid UTF-8.
std::string dump_json(const nlohmann::json &json);

} // namespace realizar
