// APR files, version 1 ("APRN"): small models of classical machine learning. Reading only.
// Format: docs/formats/apr.md.
#pragma once

#include "core/common/result.h"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace realizar {

struct AprV1 {
    uint16_t model_type = 0;
    std::string type_name; // "logistic_regression"; "type_0x0a" for ids without a name
    uint8_t flags = 0, quality = 0;
    nlohmann::json metadata; // an object
    std::string payload;     // uncompressed
};

// Linear and logistic regression, the types whose payloads are understood.
struct AprLinear {
    std::vector<float> coefficients; // empty: the model was not trained
    float intercept = 0;
};

// The checksum is verified. Tags: docs/formats/apr.md.
Result<AprV1> parse_apr_v1(std::span<const std::byte> bytes);

// Tags: unsupported_model for other types, bad_payload.
Result<AprLinear> linear_of(const AprV1 &model);

} // namespace realizar
