#include "core/models/config.h"

#include <cmath>

namespace realizar {
namespace {

// Bounds far above any published model; they keep products of sizes inside 64 bits.
constexpr uint32_t kMaxLayers = 512;
constexpr uint32_t kMaxWidth = 1u << 20;
constexpr uint32_t kMaxHeads = 1u << 12;
constexpr uint32_t kMaxContext = 1u << 28;

class Reader {
  public:
    Reader(const GgufFile &file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

    Result<uint32_t> size(const std::string &name, uint32_t limit) const {
        RZ_ASSIGN(const uint32_t value, file_.require_u32(prefix_ + name));
        return checked(name, value, limit);
    }
    Result<uint32_t> size_or(const std::string &name, uint32_t limit, uint32_t fallback) const {
        RZ_ASSIGN(const auto value, file_.get_u32(prefix_ + name));
        return value ? checked(name, *value, limit) : Result<uint32_t>(fallback);
    }
    Result<float> positive_or(const std::string &name, float fallback) const {
        RZ_ASSIGN(const auto value, file_.get_f32(prefix_ + name));
        if (!value) return fallback;
        return positive(name, *value);
    }
    Result<float> positive(const std::string &name) const {
        RZ_ASSIGN(const float value, file_.require_f32(prefix_ + name));
        return positive(name, value);
    }
    Result<std::string> text_or(const std::string &name, const std::string &fallback) const {
        RZ_ASSIGN(const auto value, file_.get_string(prefix_ + name));
        return value ? std::string(*value) : fallback;
    }
    Error bad(const std::string &name, const std::string &expected,
              const std::string &found) const {
        return make_error(Code::malformed, "bad_hparam", "key '%s%s': expected %s, found %s",
                          prefix_.c_str(), name.c_str(), expected.c_str(), found.c_str());
    }

  private:
    Result<uint32_t> checked(const std::string &name, uint32_t value, uint32_t limit) const {
        if (value >= 1 && value <= limit) return value;
        return bad(name, "1 to " + std::to_string(limit), std::to_string(value));
    }
    Result<float> positive(const std::string &name, float value) const {
        if (std::isfinite(value) && value > 0) return value;
        return bad(name, "a positive finite number", std::to_string(value));
    }

    const GgufFile &file_;
    std::string prefix_;
};

Result<RopeParams> read_rope(const Reader &reader, const ModelConfig &config, bool halves) {
    RopeParams rope;
    rope.halves = halves;
    RZ_ASSIGN(rope.rotated,
              reader.size_or("rope.dimension_count", config.key_width, config.key_width));
    if (rope.rotated % 2 != 0)
        return reader.bad("rope.dimension_count", "an even number", std::to_string(rope.rotated));
    RZ_ASSIGN(rope.base, reader.positive_or("rope.freq_base", 10000.0f));

    RZ_ASSIGN(const std::string type, reader.text_or("rope.scaling.type", "none"));
    // Files older than the scaling.* keys have only a linear factor.
    RZ_ASSIGN(const float linear, reader.positive_or("rope.scale_linear", 1.0f));
    RZ_ASSIGN(const float factor, reader.positive_or("rope.scaling.factor", linear));
    if (type == "linear" || (type == "none" && linear != 1.0f)) {
        rope.scale = 1.0f / factor;
    } else if (type == "yarn") {
        rope.scale = 1.0f / factor;
        rope.extrapolation = 1.0f;
        RZ_ASSIGN(rope.attention_factor, reader.positive_or("rope.scaling.attn_factor", 1.0f));
        RZ_ASSIGN(rope.beta_fast, reader.positive_or("rope.scaling.yarn_beta_fast", 32.0f));
        RZ_ASSIGN(rope.beta_slow, reader.positive_or("rope.scaling.yarn_beta_slow", 1.0f));
        RZ_ASSIGN(rope.original_context, reader.size_or("rope.scaling.original_context_length",
                                                        kMaxContext, config.context));
    } else if (type != "none") {
        return reader.bad("rope.scaling.type", "none, linear or yarn", "'" + printable(type) + "'");
    }
    return rope;
}

} // namespace

Result<ModelConfig> read_config(const GgufFile &file, bool rope_halves) {
    ModelConfig config;
    RZ_ASSIGN(const std::string_view architecture, file.require_string("general.architecture"));
    config.architecture = architecture;
    RZ_ASSIGN(const auto name, file.get_string("general.name"));
    config.name = name.value_or("");

    const Reader reader(file, config.architecture + ".");
    RZ_ASSIGN(config.layers, reader.size("block_count", kMaxLayers));
    RZ_ASSIGN(config.width, reader.size("embedding_length", kMaxWidth));
    RZ_ASSIGN(config.context, reader.size("context_length", kMaxContext));
    RZ_ASSIGN(config.feed_forward, reader.size("feed_forward_length", kMaxWidth));
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
    RZ_ASSIGN(const auto experts, file.get_u32(config.architecture + ".expert_count"));
    if (experts.value_or(0) > 0)
        return make_error(Code::unsupported, "unsupported_model",
                          "key '%s.expert_count': expected 0 (mixture-of-experts models are not "
                          "supported yet), found %u",
                          config.architecture.c_str(), *experts);
    RZ_ASSIGN(config.norm_epsilon, reader.positive("attention.layer_norm_rms_epsilon"));
    RZ_ASSIGN(config.rope, read_rope(reader, config, rope_halves));

    const GgufTensor *embedding = file.find_tensor("token_embd.weight");
    if (!embedding || embedding->dims.size() != 2)
        return make_error(Code::malformed, "missing_tensor",
                          "tensor 'token_embd.weight': expected a matrix, found %s",
                          embedding ? "another rank" : "no such tensor");
    config.vocabulary = static_cast<uint32_t>(embedding->dims[0]);
    return config;
}

} // namespace realizar
