// MessagePack from outside, bounded (specification: github.com/msgpack/msgpack/blob/master/spec.md).
#pragma once

#include "core/format/json_bounded.h"

#include <cstddef>
#include <span>

namespace realizar {

// One value that is all of `bytes`. Maps have strings as keys; binary and extension types are not
// taken. Tags: bad_msgpack with the offset, json_too_deep, json_too_large, duplicate_key.
Result<nlohmann::json> parse_msgpack(std::span<const std::byte> bytes,
                                     const JsonLimits &limits = {});

} // namespace realizar
