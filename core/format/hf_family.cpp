#include "core/format/hf_family.h"

namespace realizar {
namespace {

using Size = HfSize;
constexpr auto kStored = HfRows::as_stored;
constexpr auto kOptional = HfBias::optional, kRequired = HfBias::required, kNone = HfBias::none;

constexpr HfMapping kModel[] = {
    {"model.embed_tokens", "token_embd", Size::vocabulary, Size::width},
    {"model.norm", "output_norm", Size::width},
    {"lm_head", "output", Size::vocabulary, Size::width},
};

constexpr HfMapping kLlama[] = {
    {"input_layernorm", "attn_norm", Size::width},
    {"post_attention_layernorm", "ffn_norm", Size::width},
    {"self_attn.q_proj", "attn_q", Size::queries, Size::width, HfRows::query_heads, kOptional},
    {"self_attn.k_proj", "attn_k", Size::keys, Size::width, HfRows::key_heads, kOptional},
    {"self_attn.v_proj", "attn_v", Size::keys, Size::width, kStored, kOptional},
    {"self_attn.o_proj", "attn_output", Size::width, Size::queries, kStored, kOptional},
    {"mlp.gate_proj", "ffn_gate", Size::feed_forward, Size::width, kStored, kOptional},
    {"mlp.up_proj", "ffn_up", Size::feed_forward, Size::width, kStored, kOptional},
    {"mlp.down_proj", "ffn_down", Size::width, Size::feed_forward, kStored, kOptional},
};

constexpr HfMapping kQwen2[] = {
    {"input_layernorm", "attn_norm", Size::width},
    {"post_attention_layernorm", "ffn_norm", Size::width},
    {"self_attn.q_proj", "attn_q", Size::queries, Size::width, kStored, kRequired},
    {"self_attn.k_proj", "attn_k", Size::keys, Size::width, kStored, kRequired},
    {"self_attn.v_proj", "attn_v", Size::keys, Size::width, kStored, kRequired},
    {"self_attn.o_proj", "attn_output", Size::width, Size::queries, kStored, kNone},
    {"mlp.gate_proj", "ffn_gate", Size::feed_forward, Size::width},
    {"mlp.up_proj", "ffn_up", Size::feed_forward, Size::width},
    {"mlp.down_proj", "ffn_down", Size::width, Size::feed_forward},
};

constexpr HfMapping kQwen3[] = {
    {"input_layernorm", "attn_norm", Size::width},
    {"post_attention_layernorm", "ffn_norm", Size::width},
    {"self_attn.q_proj", "attn_q", Size::queries, Size::width, kStored, kOptional},
    {"self_attn.k_proj", "attn_k", Size::keys, Size::width, kStored, kOptional},
    {"self_attn.v_proj", "attn_v", Size::keys, Size::width, kStored, kOptional},
    {"self_attn.o_proj", "attn_output", Size::width, Size::queries, kStored, kOptional},
    {"self_attn.q_norm", "attn_q_norm", Size::head},
    {"self_attn.k_norm", "attn_k_norm", Size::head},
    {"mlp.gate_proj", "ffn_gate", Size::feed_forward, Size::width},
    {"mlp.up_proj", "ffn_up", Size::feed_forward, Size::width},
    {"mlp.down_proj", "ffn_down", Size::width, Size::feed_forward},
};

constexpr HfMapping kPhi3[] = {
    {"input_layernorm", "attn_norm", Size::width},
    {"post_attention_layernorm", "ffn_norm", Size::width},
    {"self_attn.qkv_proj", "attn_qkv", Size::queries_keys_values, Size::width},
    {"self_attn.o_proj", "attn_output", Size::width, Size::queries},
    {"mlp.gate_up_proj", "ffn_up", Size::two_feed_forwards, Size::width},
    {"mlp.down_proj", "ffn_down", Size::width, Size::feed_forward},
};

constexpr HfMapping kGemma2[] = {
    {"input_layernorm", "attn_norm", Size::width},
    {"post_attention_layernorm", "post_attention_norm", Size::width},
    {"pre_feedforward_layernorm", "ffn_norm", Size::width},
    {"post_feedforward_layernorm", "post_ffw_norm", Size::width},
    {"self_attn.q_proj", "attn_q", Size::queries, Size::width},
    {"self_attn.k_proj", "attn_k", Size::keys, Size::width},
    {"self_attn.v_proj", "attn_v", Size::keys, Size::width},
    {"self_attn.o_proj", "attn_output", Size::width, Size::queries},
    {"mlp.gate_proj", "ffn_gate", Size::feed_forward, Size::width},
    {"mlp.up_proj", "ffn_up", Size::feed_forward, Size::width},
    {"mlp.down_proj", "ffn_down", Size::width, Size::feed_forward},
};

constexpr HfFamily kFamilies[] = {
    {"LlamaForCausalLM", "llama", "silu", kLlama, 0, false, 0, false},
    {"MistralForCausalLM", "llama", "silu", kLlama, 0, false, 0, false},
    {"Qwen2ForCausalLM", "qwen2", "silu", kQwen2, 0, false, 0, false},
    {"Qwen3ForCausalLM", "qwen3", "silu", kQwen3, 0, false, 128, false},
    {"Phi3ForCausalLM", "phi3", "silu", kPhi3, 0, false, 0, true},
    {"Gemma2ForCausalLM", "gemma2", "gelu_pytorch_tanh", kGemma2, 1, true, 256, true},
};

} // namespace

std::span<const HfFamily> hf_families() { return kFamilies; }
std::span<const HfMapping> hf_model_mappings() { return kModel; }

} // namespace realizar
