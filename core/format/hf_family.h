// The families of Hugging Face models that can be converted: one row of a table each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace realizar {

// Sizes by which shapes are described: each follows from numbers of the config.
enum class HfSize {
    one,
    width,
    feed_forward,
    two_feed_forwards,
    queries,
    keys,
    queries_keys_values,
    head,
    vocabulary
};

// How the rows of a matrix are ordered. Hugging Face has the two numbers of each RoPE pair half a
// head apart. So have all architectures of GGUF that rotate halves; "llama" has them side by side.
enum class HfRows { as_stored, query_heads, key_heads };

enum class HfBias { none, optional, required };

struct HfMapping {
    const char *source; // without ".weight" or ".bias"; in layers after "model.layers.N."
    const char *target; // in layers after "blk.N."
    HfSize rows, columns = HfSize::one; // columns == one: a vector
    HfRows order = HfRows::as_stored;
    HfBias bias = HfBias::none;
};

struct HfFamily {
    std::string_view class_name; // in config.json, "architectures"
    const char *architecture;    // in GGUF
    std::string_view activation;
    std::span<const HfMapping> layer;
    float norm_offset;   // added to the weights of norms, which are stored without it
    bool tied;           // where the config does not say
    uint32_t head_width; // the same; 0: hidden_size / num_attention_heads
    bool has_window;     // the key sliding_window counts
};

std::span<const HfFamily> hf_families();
std::span<const HfMapping> hf_model_mappings(); // outside of layers, the same for all

} // namespace realizar
