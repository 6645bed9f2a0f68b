#include "core/format/hf_config.h"

#include "core/format/json_bounded.h"

#include <algorithm>
#include <cmath>

namespace realizar {
namespace {

using nlohmann::json;

// Above any published model; products of two stay far inside 64 bits.
constexpr uint32_t kMaxSize = 1u << 24, kMaxLayers = 512;

// Architectures that are one network under several names.
constexpr const char *kArchitectures[] = {"LlamaForCausalLM", "MistralForCausalLM"};

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

Status check_architecture(const json &config) {
    const json *names = find(config, "architectures");
    const bool is_name =
        names != nullptr && names->is_array() && names->size() == 1 && names->front().is_string();
    const auto name = is_name ? names->front().get<std::string>() : std::string();
    if (std::ranges::find(kArchitectures, name) == std::end(kArchitectures))
        return make_error(Code::unsupported, "unsupported_model",
                          "config.json: key 'architectures': expected LlamaForCausalLM or "
                          "MistralForCausalLM, found '%s'",
                          printable(name).c_str());
    const json *activation = find(config, "hidden_act");
    if (activation != nullptr && *activation != "silu")
        return bad("hidden_act", "\"silu\"", activation);
    return {};
}

// Newer files have one object "rope_parameters"; older ones "rope_theta" and "rope_scaling".
Result<HfConfig::Rope> read_rope(const json &config, uint32_t context) {
    HfConfig::Rope rope;
    const json *object = find(config, "rope_parameters");
    if (object == nullptr) object = find(config, "rope_scaling");
    const json none = json::object();
    const json &scaling = object != nullptr ? *object : none;
    if (!scaling.is_object()) return bad("rope_scaling", "an object", object);
    RZ_ASSIGN(const float base, positive(config, "rope_theta", 10000.0f));
    RZ_ASSIGN(rope.base, positive(scaling, "rope_theta", base));

    const json *type = find(scaling, "rope_type");
    if (type == nullptr) type = find(scaling, "type");
    if (type == nullptr || *type == "default") return rope;
    RZ_ASSIGN(rope.factor, positive(scaling, "factor"));
    if (*type == "linear") {
        rope.scaling = HfConfig::RopeScaling::linear;
        return rope;
    }
    RZ_ASSIGN(rope.original_context,
              size(scaling, "original_max_position_embeddings", kMaxSize, context));
    if (*type == "llama3") {
        rope.scaling = HfConfig::RopeScaling::llama3;
        RZ_ASSIGN(rope.low_freq_factor, positive(scaling, "low_freq_factor"));
        RZ_ASSIGN(rope.high_freq_factor, positive(scaling, "high_freq_factor"));
        if (rope.high_freq_factor <= rope.low_freq_factor)
            return bad("high_freq_factor", "more than low_freq_factor",
                       find(scaling, "high_freq_factor"));
        return rope;
    }
    if (*type == "yarn") {
        rope.scaling = HfConfig::RopeScaling::yarn;
        RZ_ASSIGN(rope.attention_factor, positive(scaling, "attention_factor", 0.0f));
        RZ_ASSIGN(rope.beta_fast, positive(scaling, "beta_fast", 0.0f));
        RZ_ASSIGN(rope.beta_slow, positive(scaling, "beta_slow", 0.0f));
        return rope;
    }
    return make_error(
        Code::unsupported, "unsupported_rope",
        "config.json: key 'rope_type': expected default, linear, llama3 or yarn, found %s",
        printable(type->dump(-1, ' ', true, json::error_handler_t::replace)).c_str());
}

} // namespace

Result<HfConfig> parse_hf_config(std::string_view text) {
    auto parsed = parse_json(text);
    if (!parsed) return std::move(parsed).error().within("config.json");
    const json &config = *parsed;
    if (!config.is_object())
        return make_error(Code::malformed, "bad_hparam", "config.json: expected a JSON object");
    RZ_TRY(check_architecture(config));
    HfConfig out;
    RZ_ASSIGN(out.width, size(config, "hidden_size", kMaxSize));
    RZ_ASSIGN(out.layers, size(config, "num_hidden_layers", kMaxLayers));
    RZ_ASSIGN(out.feed_forward, size(config, "intermediate_size", kMaxSize));
    RZ_ASSIGN(out.heads, size(config, "num_attention_heads", 4096));
    RZ_ASSIGN(out.kv_heads, size(config, "num_key_value_heads", 4096, out.heads));
    if (out.heads % out.kv_heads != 0)
        return bad("num_key_value_heads", "a divisor of num_attention_heads",
                   find(config, "num_key_value_heads"));
    if (out.width % out.heads != 0 && find(config, "head_dim") == nullptr)
        return bad("hidden_size", "a multiple of num_attention_heads", find(config, "hidden_size"));
    RZ_ASSIGN(out.head_width, size(config, "head_dim", 65536, out.width / out.heads));
    if (out.head_width % 2 != 0) return bad("head_dim", "an even number", find(config, "head_dim"));
    RZ_ASSIGN(out.context, size(config, "max_position_embeddings", kMaxSize));
    RZ_ASSIGN(out.vocabulary, size(config, "vocab_size", kMaxSize));
    RZ_ASSIGN(out.norm_epsilon, positive(config, "rms_norm_eps"));
    RZ_ASSIGN(out.tied, flag(config, "tie_word_embeddings", false));
    RZ_ASSIGN(out.rope, read_rope(config, out.context));
    return out;
}

} // namespace realizar
