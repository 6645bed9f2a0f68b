// What a model file says about its network, read once and checked.
#pragma once

#include "core/common/result.h"
#include "core/format/gguf.h"
#include "core/graph/builder.h"

#include <cstdint>
#include <string>

namespace realizar {

// Sizes are in elements. Names follow the GGUF keys "<architecture>.<...>".
struct ModelConfig {
    std::string architecture;
    std::string name;          // general.name, perhaps empty
    uint32_t layers = 0;       // block_count
    uint32_t width = 0;        // embedding_length
    uint32_t heads = 0;        // attention.head_count
    uint32_t kv_heads = 0;     // attention.head_count_kv
    uint32_t key_width = 0;    // per head, attention.key_length
    uint32_t value_width = 0;  // per head, attention.value_length
    uint32_t feed_forward = 0; // feed_forward_length
    uint32_t vocabulary = 0;   // rows of token_embd
    uint32_t context = 0;      // context_length: positions that the model was trained for
    float norm_epsilon = 0;
    RopeParams rope;

    uint32_t query_size() const { return heads * key_width; }
    uint32_t key_size() const { return kv_heads * key_width; }
    uint32_t value_size() const { return kv_heads * value_width; }
};

// Keys that every decoder of this family has. `rope_halves` is a property of the architecture, not of
// the file. Errors: tag bad_hparam naming key, expected and found.
Result<ModelConfig> read_config(const GgufFile &file, bool rope_halves);

} // namespace realizar
