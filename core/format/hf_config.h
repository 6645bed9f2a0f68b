// config.json of a Hugging Face model folder.
#pragma once

#include "core/common/result.h"
#include "core/format/hf_family.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace realizar {

struct HfConfig {
    const HfFamily *family = nullptr;
    uint32_t width = 0, layers = 0, feed_forward = 0, heads = 0, kv_heads = 0;
    uint32_t head_width = 0, context = 0, vocabulary = 0;
    float norm_epsilon = 0;
    bool tied = false;                              // the embedding is the output matrix too
    uint32_t window = 0;                            // sliding_window; 0: none
    float attention_scale = 0;                      // of scores; 0: by the head width
    float attention_softcap = 0, logit_softcap = 0; // 0: none
    uint32_t bos = kNoId, eos = kNoId;              // eos: the first where there are several
    static constexpr uint32_t kNoId = UINT32_MAX;

    enum class RopeScaling { none, linear, yarn, llama3, longrope };
    struct Rope {
        float base = 10000;
        RopeScaling scaling = RopeScaling::none;
        float factor = 1;
        uint32_t rotated = 0;                                     // elements of a head
        uint32_t original_context = 0;                            // all but linear
        float low_freq_factor = 1, high_freq_factor = 4;          // llama3
        float attention_factor = 0, beta_fast = 0, beta_slow = 0; // yarn; 0: the default
        std::vector<float> long_factors, short_factors;           // longrope, one per pair
    } rope;
};

// Tags: those of parse_json, bad_hparam (a missing, mistyped or impossible value, named),
// unsupported_model (another architecture), unsupported_rope.
Result<HfConfig> parse_hf_config(std::string_view text);

} // namespace realizar
