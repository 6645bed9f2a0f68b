#include "core/format/hf_config.h"

#include "core/format/json_bounded.h"

#include <algorithm>
#include <cmath>

namespace realizar {
namespace {

using nlohmann::json;

// Above any published model; products of two stay far inside 64 bits.
constexpr uint32_t kMaxSize = 1u << 24, kMaxLayers = 512;

Error bad(const char *key, const std::string &expected, const json *found) {
    // dump() of a short value; strings are made safe to show.
    const std::string text =
        found ? printable(found->dump(-1, ' ', true, json::error_handler_t::replace)) : "none";
    return make_error(Code::malformed, "bad_hparam", "config.json: key '%s': expected %s, found %s",
                      key, expected.c_str(), text.c_str());
}

// A key that is present and not null.
const json *find(const json &object, const char *key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<uint32_t> size(const json &object, const char *key, uint32_t limit,
                      std::optional<uint32_t> fallback = {}) {
    const json *value = find(object, key);
    if (value == nullptr && fallback) return *fallback;
    if (value == nullptr || !value->is_number_unsigned() || value->get<uint64_t>() < 1 ||
        value->get<uint64_t>() > limit)
        return bad(key, "a whole number of 1 to " + std::to_string(limit), value);
    return static_cast<uint32_t>(value->get<uint64_t>());
}

Result<float> positive(const json &object, const char *key, std::optional<float> fallback = {}) {
    const json *value = find(object, key);
    if (value == nullptr && fallback) return *fallback;
    const float number = value != nullptr && value->is_number() ? value->get<float>() : 0;
    if (!std::isfinite(number) || number <= 0) return bad(key, "a positive number", value);
    return number;
}

Result<bool> flag(const json &object, const char *key, bool fallback) {
    const json *value = find(object, key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) return bad(key, "true or false", value);
    return value->get<bool>();
}

Result<const HfFamily *> find_family(const json &config) {
    const json *names = find(config, "architectures");
    const bool is_name =
        names != nullptr && names->is_array() && names->size() == 1 && names->front().is_string();
    const auto name = is_name ? names->front().get<std::string>() : std::string();
    const auto family = std::ranges::find(hf_families(), name, &HfFamily::class_name);
    if (family == hf_families().end()) {
        std::string known;
        for (const HfFamily &row : hf_families())
            known.append(known.empty() ? "" : ", ").append(row.class_name);
        return make_error(Code::unsupported, "unsupported_model",
                          "config.json: key 'architectures': expected one of %s, found '%s'",
                          known.c_str(), printable(name).c_str());
    }
    // Gemma has the exact name under another key than the one that all have.
    const json *activation = find(config, "hidden_activation");
    if (activation == nullptr) activation = find(config, "hidden_act");
    if (activation != nullptr && *activation != family->activation)
        return bad("hidden_act", "\"" + std::string(family->activation) + "\"", activation);
    return &*family;
}

Result<std::vector<float>> factors(const json &object, const char *key, uint32_t count) {
    std::vector<float> out;
    const json *list = find(object, key);
    if (list != nullptr && list->is_array())
        for (const json &item : *list)
            if (item.is_number()) out.push_back(item.get<float>());
    const auto is_positive = [](float value) { return std::isfinite(value) && value > 0; };
    if (list != nullptr && list->size() == count && out.size() == count &&
        std::ranges::all_of(out, is_positive))
        return out;
    return bad(key, std::to_string(count) + " positive numbers, one per pair of RoPE", list);
}

// Two lists of divisors: for contexts up to the original length and above it.
Status read_longrope(const json &config, const json &scaling, HfConfig &out) {
    HfConfig::Rope &rope = out.rope;
    rope.scaling = HfConfig::RopeScaling::longrope;
    const json &holder = find(config, "original_max_position_embeddings") ? config : scaling;
    RZ_ASSIGN(rope.original_context,
              size(holder, "original_max_position_embeddings", kMaxSize, out.context));
    RZ_ASSIGN(rope.long_factors, factors(scaling, "long_factor", rope.rotated / 2));
    RZ_ASSIGN(rope.short_factors, factors(scaling, "short_factor", rope.rotated / 2));
    // The magnitude that queries and keys get (Ding et al. 2024, LongRoPE).
    const double ratio = static_cast<double>(out.context) / rope.original_context;
    const double magnitude =
        ratio > 1 ? std::sqrt(1 + std::log(ratio) / std::log(rope.original_context)) : 1;
    RZ_ASSIGN(rope.attention_factor,
              positive(scaling, "attention_factor", static_cast<float>(magnitude)));
    return {};
}

// Newer files have one object "rope_parameters"; older ones "rope_theta" and "rope_scaling".
Status read_rope(const json &config, HfConfig &out) {
    HfConfig::Rope &rope = out.rope;
    const json *object = find(config, "rope_parameters");
    if (object == nullptr) object = find(config, "rope_scaling");
    const json none = json::object();
    const json &scaling = object != nullptr ? *object : none;
    if (!scaling.is_object()) return bad("rope_scaling", "an object", object);
    RZ_ASSIGN(const float base, positive(config, "rope_theta", 10000.0f));
    RZ_ASSIGN(rope.base, positive(scaling, "rope_theta", base));

    const json *type = find(scaling, "rope_type");
    if (type == nullptr) type = find(scaling, "type");
    RZ_ASSIGN(const float part, positive(config, "partial_rotary_factor", 1.0f));
    rope.rotated = static_cast<uint32_t>(part * static_cast<float>(out.head_width));
    if (part > 1 || rope.rotated < 2 || rope.rotated % 2 != 0)
        return bad("partial_rotary_factor", "a part of 1 that gives an even number of elements",
                   find(config, "partial_rotary_factor"));
    if (type == nullptr || *type == "default") return {};
    if (*type == "longrope" || *type == "su") return read_longrope(config, scaling, out);
    RZ_ASSIGN(rope.factor, positive(scaling, "factor"));
    if (*type == "linear") {
        rope.scaling = HfConfig::RopeScaling::linear;
        return {};
    }
    RZ_ASSIGN(rope.original_context,
              size(scaling, "original_max_position_embeddings", kMaxSize, out.context));
    if (*type == "llama3") {
        rope.scaling = HfConfig::RopeScaling::llama3;
        RZ_ASSIGN(rope.low_freq_factor, positive(scaling, "low_freq_factor"));
        RZ_ASSIGN(rope.high_freq_factor, positive(scaling, "high_freq_factor"));
        if (rope.high_freq_factor <= rope.low_freq_factor)
            return bad("high_freq_factor", "more than low_freq_factor",
                       find(scaling, "high_freq_factor"));
        return {};
    }
    if (*type == "yarn") {
        rope.scaling = HfConfig::RopeScaling::yarn;
        RZ_ASSIGN(rope.attention_factor, positive(scaling, "attention_factor", 0.0f));
        RZ_ASSIGN(rope.beta_fast, positive(scaling, "beta_fast", 0.0f));
        RZ_ASSIGN(rope.beta_slow, positive(scaling, "beta_slow", 0.0f));
        return {};
    }
    return make_error(Code::unsupported, "unsupported_rope",
                      "config.json: key 'rope_type': expected default, linear, llama3, yarn or "
                      "longrope, found %s",
                      printable(type->dump(-1, ' ', true, json::error_handler_t::replace)).c_str());
}

// Sliding windows, and how scores and logits are scaled and bounded.
Status read_attention(const json &config, HfConfig &out) {
    RZ_ASSIGN(const bool window, flag(config, "use_sliding_window", out.family->has_window));
    if (window && !out.family->has_window)
        return bad("use_sliding_window", "false for this family",
                   find(config, "use_sliding_window"));
    if (window && find(config, "sliding_window") != nullptr) {
        RZ_ASSIGN(out.window, size(config, "sliding_window", kMaxSize));
    }
    RZ_ASSIGN(const float divisor, positive(config, "query_pre_attn_scalar", 0.0f));
    if (divisor > 0) out.attention_scale = 1 / std::sqrt(divisor);
    RZ_ASSIGN(out.attention_softcap, positive(config, "attn_logit_softcapping", 0.0f));
    RZ_ASSIGN(out.logit_softcap, positive(config, "final_logit_softcapping", 0.0f));
    return {};
}

// One id, or the first of several.
uint32_t token_id(const json &config, const char *key) {
    const json *value = find(config, key);
    if (value != nullptr && value->is_array() && !value->empty()) value = &value->front();
    const bool is_id =
        value != nullptr && value->is_number_unsigned() && value->get<uint64_t>() < HfConfig::kNoId;
    return is_id ? value->get<uint32_t>() : HfConfig::kNoId;
}

} // namespace

Result<HfConfig> parse_hf_config(std::string_view text) {
    auto parsed = parse_json(text);
    if (!parsed) return std::move(parsed).error().within("config.json");
    const json &config = *parsed;
    if (!config.is_object())
        return make_error(Code::malformed, "bad_hparam", "config.json: expected a JSON object");
    HfConfig out;
    RZ_ASSIGN(out.family, find_family(config));
    RZ_ASSIGN(out.width, size(config, "hidden_size", kMaxSize));
    RZ_ASSIGN(out.layers, size(config, "num_hidden_layers", kMaxLayers));
    RZ_ASSIGN(out.feed_forward, size(config, "intermediate_size", kMaxSize));
    RZ_ASSIGN(out.heads, size(config, "num_attention_heads", 4096));
    RZ_ASSIGN(out.kv_heads, size(config, "num_key_value_heads", 4096, out.heads));
    if (out.heads % out.kv_heads != 0)
        return bad("num_key_value_heads", "a divisor of num_attention_heads",
                   find(config, "num_key_value_heads"));
    const uint32_t own = out.family->head_width;
    if (out.width % out.heads != 0 && own == 0 && find(config, "head_dim") == nullptr)
        return bad("hidden_size", "a multiple of num_attention_heads", find(config, "hidden_size"));
    RZ_ASSIGN(out.head_width, size(config, "head_dim", 65536, own ? own : out.width / out.heads));
    if (out.head_width % 2 != 0) return bad("head_dim", "an even number", find(config, "head_dim"));
    RZ_ASSIGN(out.context, size(config, "max_position_embeddings", kMaxSize));
    RZ_ASSIGN(out.vocabulary, size(config, "vocab_size", kMaxSize));
    RZ_ASSIGN(out.norm_epsilon, positive(config, "rms_norm_eps"));
    RZ_ASSIGN(out.tied, flag(config, "tie_word_embeddings", out.family->tied));
    RZ_TRY(read_attention(config, out));
    RZ_TRY(read_rope(config, out));
    out.bos = token_id(config, "bos_token_id");
    out.eos = token_id(config, "eos_token_id");
    return out;
}

} // namespace realizar
