#include "core/models/config.h"

#include "core/models/config_reader.h"

#include <algorithm>
#include <cmath>

namespace realizar {
namespace {

// Bounds far above any published model; they keep products of sizes inside 64 bits.
constexpr uint32_t kMaxLayers = 512;
constexpr uint32_t kMaxWidth = 1u << 20;
constexpr uint32_t kMaxHeads = 1u << 12;
constexpr uint32_t kMaxContext = 1u << 28;
constexpr uint32_t kMaxExperts = 1u << 12;

Status read_yarn(const ConfigReader &reader, const ModelConfig &config, float factor,
                 RopeParams &rope) {
    rope.scale = 1.0f / factor;
    rope.extrapolation = 1.0f;
    RZ_ASSIGN(rope.attention_factor, reader.positive_or("rope.scaling.attn_factor", 1.0f));
    RZ_ASSIGN(rope.beta_fast, reader.positive_or("rope.scaling.yarn_beta_fast", 32.0f));
    RZ_ASSIGN(rope.beta_slow, reader.positive_or("rope.scaling.yarn_beta_slow", 1.0f));
    RZ_ASSIGN(rope.original_context,
              reader.size_or("rope.scaling.original_context_length", kMaxContext, config.context));
    return {};
}

Status read_rope(const ConfigReader &reader, ModelConfig &config) {
    RopeParams &rope = config.rope;
    rope.halves = config.traits.rope == RopeKind::halves;
    RZ_ASSIGN(rope.rotated,
              reader.size_or("rope.dimension_count", config.key_width, config.key_width));
    if (rope.rotated % 2 != 0)
        return reader.bad("rope.dimension_count", "an even number", std::to_string(rope.rotated));
    RZ_ASSIGN(rope.base, reader.positive_or("rope.freq_base", 10000.0f));
    config.window_rope = rope;
    RZ_ASSIGN(config.original_context,
              reader.size_or("rope.scaling.original_context_length", kMaxContext, config.context));

    // A factor alone is linear; files older than the scaling.* keys have it under another name.
    RZ_ASSIGN(const std::string type, reader.text_or("rope.scaling.type", "linear"));
    RZ_ASSIGN(const float linear, reader.positive_or("rope.scale_linear", 1.0f));
    RZ_ASSIGN(const float factor, reader.positive_or("rope.scaling.factor", linear));
    if (type == "linear" && factor != 1.0f) {
        rope.scale = 1.0f / factor;
    } else if (type == "yarn") {
        RZ_TRY(read_yarn(reader, config, factor, rope));
    } else if (type == "longrope" || type == "linear" || type == "none") {
        // The factors are tensors; the magnitude is written where there are some.
        RZ_ASSIGN(rope.attention_factor, reader.positive_or("rope.scaling.attn_factor", 1.0f));
    } else {
        return reader.bad("rope.scaling.type", "none, linear, yarn or longrope",
                          "'" + printable(type) + "'");
    }
    const Traits &traits = config.traits;
    if (!reader.has("rope.freq_base_swa") && !traits.plain_window_rope) config.window_rope = rope;
    const float base = traits.window_rope_base > 0 ? traits.window_rope_base : rope.base;
    RZ_ASSIGN(config.window_rope.base, reader.positive_or("rope.freq_base_swa", base));
    return {};
}

// attention.sliding_window, and which layers have it: a number n (every n-th has not) or one flag per
// layer.
Status read_windows(const ConfigReader &reader, ModelConfig &config) {
    config.windows.assign(config.layers, 0);
    RZ_ASSIGN(uint32_t window, reader.count("attention.sliding_window", kMaxContext));
    if (!reader.has("attention.sliding_window")) window = config.traits.window;
    if (window == 0) return {};
    const std::string key = "attention.sliding_window_pattern";
    const GgufEntry *entry = reader.find(key);
    const auto *flags = entry ? std::get_if<GgufArray>(&entry->value) : nullptr;
    if (flags) {
        if (flags->count != config.layers || flags->element == GgufType::string ||
            flags->element == GgufType::array)
            return reader.bad(key, std::to_string(config.layers) + " flags, one per layer",
                              std::to_string(flags->count) + " elements");
        for (uint32_t i = 0; i < config.layers; ++i)
            if (flags->integer(i) != 0) config.windows[i] = window;
        return {};
    }
    RZ_ASSIGN(const uint32_t pattern,
              reader.size_or(key, kMaxLayers, config.traits.window_pattern));
    for (uint32_t i = 0; i < config.layers; ++i)
        if (pattern == 1 || (i + 1) % pattern != 0) config.windows[i] = window;
    return {};
}

Status read_experts(const ConfigReader &reader, ModelConfig &config) {
    ExpertConfig &experts = config.experts;
    RZ_ASSIGN(experts.count, reader.count("expert_count", kMaxExperts));
    if (experts.count == 0) return {};
    RouteParams &route = experts.route;
    RZ_ASSIGN(route.k, reader.size("expert_used_count", experts.count));
    RZ_ASSIGN(experts.feed_forward, reader.size_or("expert_feed_forward_length", kMaxWidth, 0));
    RZ_ASSIGN(experts.leading_dense, reader.count("leading_dense_block_count", kMaxLayers));
    RZ_ASSIGN(experts.shared_feed_forward,
              reader.size_or("expert_shared_feed_forward_length", kMaxWidth, 0));
    RZ_ASSIGN(const uint32_t gating, reader.count("expert_gating_func", 16));
    if (gating > 3)
        return reader.bad("expert_gating_func",
                          "1 (softmax), 2 (sigmoid) or 3 (softmax of the chosen)",
                          std::to_string(gating));
    route.sigmoid = gating == 2;
    RZ_ASSIGN(route.normalise,
              reader.flag_or("expert_weights_norm", config.traits.normalises_experts));
    // Softmax of the chosen logits is softmax of all, divided by the sum of the chosen.
    route.normalise = route.normalise || gating == 3;
    RZ_ASSIGN(route.scale, reader.positive_or_zero("expert_weights_scale", 1.0f));
    RZ_ASSIGN(route.groups, reader.size_or("expert_group_count", experts.count, 1));
    RZ_ASSIGN(route.groups_used, reader.size_or("expert_group_used_count", route.groups, 1));
    if (experts.count % route.groups != 0)
        return reader.bad("expert_group_count",
                          "a divisor of expert_count " + std::to_string(experts.count),
                          std::to_string(route.groups));
    const uint32_t group = experts.count / route.groups;
    if (route.k > route.groups_used * group)
        return reader.bad("expert_used_count", "experts of the groups used",
                          std::to_string(route.k));
    // DeepSeek-V2 scores a group by its best expert, DeepSeek-V3 by its two best.
    route.group_top = route.sigmoid ? std::min(group, 2u) : 1;
    return {};
}

Status read_latent(const ConfigReader &reader, ModelConfig &config) {
    LatentConfig &latent = config.latent;
    RZ_ASSIGN(latent.kv_rank, reader.count("attention.kv_lora_rank", kMaxWidth));
    if (latent.kv_rank == 0) return {};
    RZ_ASSIGN(latent.q_rank, reader.count("attention.q_lora_rank", kMaxWidth));
    // Files from before the absorbed form have the widths of the heads under the plain keys.
    RZ_ASSIGN(latent.key_width,
              reader.size_or("attention.key_length_mla", kMaxWidth, config.key_width));
    RZ_ASSIGN(latent.value_width,
              reader.size_or("attention.value_length_mla", kMaxWidth, config.value_width));
    // The magnitude of YaRN is not in the rotation here, but squared in the scale of scores.
    if (config.rope.extrapolation != 0) {
        const float length = std::log(1 / config.rope.scale);
        RZ_ASSIGN(const float logarithm,
                  reader.positive_or_zero("rope.scaling.yarn_log_multiplier", 0.0f));
        latent.magnitude = 1 + logarithm * length;
        config.rope.attention_factor = 1 / (1 + 0.1f * length);
    }
    if (config.rope.rotated >= latent.key_width)
        return reader.bad("rope.dimension_count",
                          "less than the head width " + std::to_string(latent.key_width),
                          std::to_string(config.rope.rotated));
    return {};
}

Status read_state_space(const ConfigReader &reader, ModelConfig &config) {
    StateSpaceConfig &ssm = config.state_space;
    RZ_ASSIGN(ssm.convolution, reader.size("ssm.conv_kernel", 64));
    if (ssm.convolution < 2) return reader.bad("ssm.conv_kernel", "2 or more", "1");
    RZ_ASSIGN(ssm.inner, reader.size("ssm.inner_size", kMaxWidth));
    RZ_ASSIGN(ssm.state, reader.size("ssm.state_size", 1u << 12));
    RZ_ASSIGN(ssm.step_rank, reader.size("ssm.time_step_rank", kMaxWidth));
    RZ_ASSIGN(ssm.normalises, reader.flag_or("ssm.dt_b_c_rms", false));
    return {};
}

Status read_scales(const ConfigReader &reader, ModelConfig &config) {
    const Traits &traits = config.traits;
    uint32_t width = config.latent.kv_rank > 0 ? config.latent.key_width : config.key_width;
    if (config.layers == traits.narrow_scale_layers) width = config.width / config.heads;
    RZ_ASSIGN(
        config.attention_scale,
        reader.positive_or_zero("attention.scale", 1.0f / std::sqrt(static_cast<float>(width))));
    config.attention_scale *= config.latent.magnitude * config.latent.magnitude;
    RZ_ASSIGN(config.attention_softcap,
              reader.positive_or_zero("attn_logit_softcapping", traits.attention_softcap));
    RZ_ASSIGN(config.alibi_max_bias,
              reader.positive_or_zero("attention.max_alibi_bias", traits.alibi_max_bias));
    RZ_ASSIGN(config.clamp_qkv, reader.positive_or_zero("attention.clamp_kqv", 0.0f));
    return {};
}

Status read_attention(const ConfigReader &reader, ModelConfig &config) {
    RZ_ASSIGN(config.heads, reader.size("attention.head_count", kMaxHeads));
    RZ_ASSIGN(config.kv_heads, reader.size_or("attention.head_count_kv", kMaxHeads, config.heads));
    if (config.heads % config.kv_heads != 0)
        return reader.bad("attention.head_count_kv",
                          "a divisor of head_count " + std::to_string(config.heads),
                          std::to_string(config.kv_heads));
    RZ_ASSIGN(config.key_width,
              reader.size_or("attention.key_length", kMaxWidth, config.width / config.heads));
    RZ_ASSIGN(config.value_width,
              reader.size_or("attention.value_length", kMaxWidth, config.key_width));
    if (config.key_width == 0)
        return reader.bad("attention.head_count", "at most embedding_length",
                          std::to_string(config.heads));
    if (config.traits.rope != RopeKind::none) RZ_TRY(read_rope(reader, config));
    RZ_TRY(read_windows(reader, config));
    RZ_TRY(read_latent(reader, config));
    return read_scales(reader, config);
}

} // namespace

uint32_t ModelConfig::widest_window() const {
    return windows.empty() ? 0 : std::ranges::max(windows);
}

bool ModelConfig::has_rope(uint32_t layer) const {
    if (traits.rope == RopeKind::none) return false;
    if (traits.rope_in_windows && windows[layer] == 0) return false;
    return traits.rope_pattern == 0 || (layer + 1) % traits.rope_pattern != 0;
}

Result<ModelConfig> read_config(const GgufFile &file, const Traits &traits) {
    ModelConfig config;
    config.traits = traits;
    RZ_ASSIGN(const std::string_view architecture, file.require_string("general.architecture"));
    config.architecture = architecture;
    RZ_ASSIGN(const auto name, file.get_string("general.name"));
    config.name = name.value_or("");

    const ConfigReader reader(file, config.architecture + ".");
    RZ_ASSIGN(config.layers, reader.size("block_count", kMaxLayers));
    RZ_ASSIGN(config.width, reader.size("embedding_length", kMaxWidth));
    RZ_ASSIGN(config.context, reader.size("context_length", kMaxContext));
    RZ_ASSIGN(config.norm_epsilon,
              reader.positive(traits.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                           : "attention.layer_norm_epsilon"));
    if (traits.recurrent) {
        config.windows.assign(config.layers, 0);
        RZ_TRY(read_state_space(reader, config));
    } else {
        RZ_ASSIGN(config.feed_forward, reader.size("feed_forward_length", kMaxWidth));
        RZ_TRY(read_attention(reader, config));
        RZ_TRY(read_experts(reader, config));
    }
    RZ_ASSIGN(config.embedding_scale, reader.positive_or_zero("embedding_scale", 1.0f));
    if (traits.scaled_embedding)
        config.embedding_scale = std::sqrt(static_cast<float>(config.width));
    RZ_ASSIGN(config.parallel_residual, reader.flag_or("use_parallel_residual", true));
    RZ_ASSIGN(config.residual_scale, reader.positive_or_zero("residual_scale", 1.0f));
    RZ_ASSIGN(config.logit_scale, reader.positive_or_zero("logit_scale", 1.0f));
    if (traits.divides_logits) config.logit_scale = 1.0f / config.logit_scale;
    RZ_ASSIGN(config.logit_softcap,
              reader.positive_or_zero("final_logit_softcapping", traits.logit_softcap));

    const GgufTensor *embedding = file.find_tensor("token_embd.weight");
    if (!embedding || embedding->dims.size() != 2)
        return make_error(Code::malformed, "missing_tensor",
                          "tensor 'token_embd.weight': expected a matrix, found %s",
                          embedding ? "another rank" : "no such tensor");
    config.vocabulary = static_cast<uint32_t>(embedding->dims[0]);
    return config;
}

} // namespace realizar
