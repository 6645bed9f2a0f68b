// config.json of a Hugging Face model folder, llama family.
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <string_view>

namespace realizar {

struct HfConfig {
    uint32_t width = 0, layers = 0, feed_forward = 0, heads = 0, kv_heads = 0;
    uint32_t head_width = 0, context = 0, vocabulary = 0;
    float norm_epsilon = 0;
    bool tied = false; // the embedding is the output matrix too

    enum class RopeScaling { none, linear, yarn, llama3 };
    struct Rope {
        float base = 10000;
        RopeScaling scaling = RopeScaling::none;
        float factor = 1;
        uint32_t original_context = 0;                            // yarn and llama3
        float low_freq_factor = 1, high_freq_factor = 4;          // llama3
        float attention_factor = 0, beta_fast = 0, beta_slow = 0; // yarn; 0: the default
    } rope;
};

// Tags: those of parse_json, bad_hparam (a missing, mistyped or impossible value, named),
// unsupported_model (another architecture), unsupported_rope.
Result<HfConfig> parse_hf_config(std::string_view text);

} // namespace realizar
