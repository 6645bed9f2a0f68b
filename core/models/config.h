// What a model file says about its network, read once and checked.
#pragma once

#include "core/common/result.h"
#include "core/format/gguf.h"
#include "core/graph/builder.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace realizar {

enum class NormKind { rms, layer };
enum class RopeKind {
    none,
    adjacent,
    halves
}; // which pairs RoPE rotates, see RZ_ROPE_* in backend.h
enum class ForwardKind {
    gated,  // down(f(gate x) * up x)
    fused,  // the same with gate and up in one matrix, gate first
    plain,  // down(f(up x))
    clamped // gated with clamped SwiGLU, see layers.h
};

// What an architecture fixes and no file says: one row of the table in model.cpp.
struct Traits {
    RopeKind rope = RopeKind::adjacent;
    NormKind norm = NormKind::rms;
    ForwardKind forward = ForwardKind::gated;
    UnaryKind activation = UnaryKind::silu;
    // Norms stand before attention and feed-forward, and / or behind them; names of the tensors.
    const char *before_attention = "attn_norm";
    const char *before_forward = "ffn_norm";
    const char *behind_attention = nullptr;
    const char *behind_forward = nullptr;
    bool parallel = false; // attention and feed-forward side by side, if the file agrees
    bool parallel_without_norm = false; // in layers that have no norm before the feed-forward
    bool recurrent = false;             // no attention: a state per sequence
    bool scaled_embedding = false;      // by sqrt(width)
    bool divides_logits = false;        // logit_scale is a divisor
    bool normalises_experts = false;
    bool exact_yarn = false; // the ramp between its ends as they are, not rounded to whole pairs
    uint32_t window = 0;     // where the file has no key
    uint32_t window_pattern = 1; // with a sliding window, every n-th layer sees everything; 1: none
    uint32_t rope_pattern = 0;   // every n-th layer has no RoPE; 0: all have it
    bool rope_in_windows = false;   // only layers with a sliding window have RoPE
    bool plain_window_rope = false; // layers with a sliding window have RoPE without scaling
    float window_rope_base = 0;     // and this base; 0: that of the others
    float attention_softcap = 0;    // where the file has no key
    float logit_softcap = 0;
    float alibi_max_bias = 0;
    uint32_t narrow_scale_layers = 0; // a model of so many layers scales scores by width / heads
};

struct ExpertConfig {
    uint32_t count = 0;               // expert_count; 0: no layer has experts
    uint32_t feed_forward = 0;        // of one expert; 0: as the tensors have it
    uint32_t shared_feed_forward = 0; // of the one that all tokens take; 0: as the tensors have it
    uint32_t leading_dense = 0;       // layers before the first with experts
    RouteParams route;
};

// Latent attention (DeepSeek-V2, arXiv:2405.04434); kv_rank 0: another kind.
struct LatentConfig {
    uint32_t q_rank = 0; // 0: queries straight from x
    uint32_t kv_rank = 0;
    uint32_t key_width = 0, value_width = 0; // per head, before absorption
    float magnitude = 1;                     // of queries and keys each, for long contexts
};

struct StateSpaceConfig {
    uint32_t convolution = 0; // taps
    uint32_t inner = 0;
    uint32_t state = 0;
    uint32_t step_rank = 0;
    bool normalises = false; // the step, b and c
};

// Sizes are in elements. Names follow the GGUF keys "<architecture>.<...>".
struct ModelConfig {
    std::string architecture;
    std::string name; // general.name, perhaps empty
    Traits traits;
    uint32_t layers = 0;       // block_count
    uint32_t width = 0;        // embedding_length
    uint32_t heads = 0;        // attention.head_count; 0: a model without attention
    uint32_t kv_heads = 0;     // attention.head_count_kv
    uint32_t key_width = 0;    // per head, attention.key_length
    uint32_t value_width = 0;  // per head, attention.value_length
    uint32_t feed_forward = 0; // feed_forward_length
    uint32_t vocabulary = 0;   // rows of token_embd
    uint32_t context = 0;      // context_length: positions that the model was trained for
    float norm_epsilon = 0;
    RopeParams rope;
    RopeParams window_rope;        // of layers with a sliding window
    uint32_t original_context = 0; // from which on rope_factors_long apply
    std::vector<uint32_t> windows; // by layer; 0: sees everything
    float attention_scale = 0;     // of scores
    float attention_softcap = 0;   // 0: none; so are the next
    float alibi_max_bias = 0;      // attention.max_alibi_bias
    float clamp_qkv = 0;           // attention.clamp_kqv
    bool parallel_residual = true; // use_parallel_residual
    float embedding_scale = 1;
    float residual_scale = 1;
    float logit_scale = 1;
    float logit_softcap = 0;
    ExpertConfig experts;
    LatentConfig latent;
    StateSpaceConfig state_space;

    int64_t query_size() const { return int64_t{heads} * key_width; }
    int64_t key_size() const { return int64_t{kv_heads} * key_width; }
    int64_t value_size() const { return int64_t{kv_heads} * value_width; }
    // The widest sliding window; 0 when no layer has one.
    uint32_t widest_window() const;
    bool has_rope(uint32_t layer) const;
    bool has_experts(uint32_t layer) const {
        return experts.count > 0 && layer >= experts.leading_dense;
    }
};

// Errors: tag bad_hparam naming key, expected and found; missing_key; wrong_type.
Result<ModelConfig> read_config(const GgufFile &file, const Traits &traits);

} // namespace realizar
