// APR metadata of other writers: model sizes and tokens under the names of Hugging Face.
#include "core/format/apr_entries.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace realizar {
namespace {

using nlohmann::json;

enum class Number { count, real };

struct ModelKey {
    const char *names; // of APR, the first that is there counts; separated by spaces
    const char *gguf;  // after "<architecture>."
    Number kind;
};

constexpr ModelKey kModelKeys[] = {
    {"max_position_embeddings max_seq_len context_length n_ctx", "context_length", Number::count},
    {"hidden_size hidden_dim d_model n_embd", "embedding_length", Number::count},
    {"num_layers n_layers num_hidden_layers n_layer", "block_count", Number::count},
    {"intermediate_size ffn_dim intermediate_dim n_inner", "feed_forward_length", Number::count},
    {"num_heads n_heads num_attention_heads n_head", "attention.head_count", Number::count},
    {"num_kv_heads n_kv_heads num_key_value_heads", "attention.head_count_kv", Number::count},
    {"head_dim", "attention.key_length", Number::count},
    {"head_dim", "attention.value_length", Number::count},
    {"vocab_size n_vocab", "vocab_size", Number::count},
    {"rms_norm_eps layer_norm_eps norm_eps eps", "attention.layer_norm_rms_epsilon", Number::real},
    {"rope_theta", "rope.freq_base", Number::real},
    {"num_experts", "expert_count", Number::count},
    {"num_experts_per_tok", "expert_used_count", Number::count},
    {"moe_intermediate_size", "expert_feed_forward_length", Number::count},
};

struct FamilyName {
    const char *apr, *gguf;
};
constexpr FamilyName kFamilies[] = {
    {"mistral", "llama"}, {"tinyllama", "llama"}, {"smollm2", "llama"},
    {"qwen2.5", "qwen2"}, {"phi", "phi3"},        {"phi-3", "phi3"},
};

Error bad(std::string_view key, const char *expected) {
    return make_error(Code::malformed, "bad_metadata", "metadata key '%s': expected %s",
                      printable(key).c_str(), expected);
}

// The first of the names that has a value.
const json *find(const json &metadata, std::string_view names) {
    while (!names.empty()) {
        const size_t end = std::min(names.find(' '), names.size());
        const auto found = metadata.find(std::string(names.substr(0, end)));
        if (found != metadata.end() && !found->is_null()) return &*found;
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return nullptr;
}

// "tokenizer.<name>", or <name> in an object "tokenizer".
const json *find_tokenizer(const json &metadata, const std::string &name) {
    if (const json *found = find(metadata, "tokenizer." + name)) return found;
    const json *object = find(metadata, "tokenizer");
    return object && object->is_object() ? find(*object, name) : nullptr;
}

// "LlamaForCausalLM", "Llama" and "llama" are one family.
std::string family_of(std::string name) {
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    });
    constexpr std::string_view kEnding = "forcausallm";
    if (name.ends_with(kEnding)) name.resize(name.size() - kEnding.size());
    for (const FamilyName &row : kFamilies)
        if (name == row.apr) return row.gguf;
    return name;
}

Status add_number(EntryMaker &maker, const std::string &key, const json &value, Number kind) {
    if (kind == Number::real) {
        if (!value.is_number()) return bad(key, "a number");
        maker.add_f32(key, static_cast<float>(value.get<double>()));
        return {};
    }
    if (!value.is_number_unsigned() || value.get<uint64_t>() > UINT32_MAX)
        return bad(key, "an integer of 0 to 2^32-1");
    maker.add_u32(key, value.get<uint32_t>());
    return {};
}

Result<std::vector<std::string>> texts_at(const json *value, const char *key) {
    std::vector<std::string> out;
    if (!value) return out;
    if (!value->is_array()) return bad(key, "an array of texts");
    for (const json &item : *value) {
        if (!item.is_string()) return bad(key, "an array of texts");
        out.push_back(item.get<std::string>());
    }
    return out;
}

// Files do not say which tokens are special: "<|...|>" and "<name>" by their shape. In vocabularies
// with scores "<0x..>" is a byte.
int32_t type_of(const std::string &token, bool has_scores) {
    constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
    if (token == "<unk>") return kUnknown;
    if (has_scores && token.size() == 6 && token.starts_with("<0x") && token.back() == '>')
        return kByte;
    if (token.size() < 3 || token.front() != '<' || token.back() != '>') return kNormal;
    const auto inside = std::string_view(token).substr(1, token.size() - 2);
    if (inside.size() > 2 && inside.front() == '|' && inside.back() == '|') return kControl;
    const auto is_name = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '/';
    };
    return std::ranges::all_of(inside, is_name) ? kControl : kNormal;
}

const char *pretokenizer_of(const std::string &family) {
    if (family.starts_with("qwen")) return "qwen2";
    return family == "llama" ? "llama-bpe" : "default";
}

Status add_tokenizer(EntryMaker &maker, const json &metadata, const std::string &family) {
    RZ_ASSIGN(std::vector<std::string> tokens,
              texts_at(find_tokenizer(metadata, "vocabulary"), "tokenizer.vocabulary"));
    if (tokens.empty()) return {};
    RZ_ASSIGN(std::vector<std::string> merges,
              texts_at(find_tokenizer(metadata, "merges"), "tokenizer.merges"));
    const json *scores = find_tokenizer(metadata, "scores");
    const bool has_scores = scores && scores->is_array() && !scores->empty();
    std::string types;
    for (const std::string &token : tokens) {
        const int32_t type = type_of(token, has_scores);
        types.append(reinterpret_cast<const char *>(&type), sizeof type);
    }
    maker.add_string("tokenizer.ggml.model", has_scores ? "llama" : "gpt2");
    if (!has_scores) maker.add_string("tokenizer.ggml.pre", pretokenizer_of(family));
    const size_t count = tokens.size();
    maker.add_strings("tokenizer.ggml.tokens", std::move(tokens));
    maker.add_array("tokenizer.ggml.token_type", GgufType::i32, count, std::move(types));
    if (!merges.empty()) maker.add_strings("tokenizer.ggml.merges", std::move(merges));
    if (has_scores) {
        std::string bytes;
        for (const json &item : *scores) {
            if (!item.is_number()) return bad("tokenizer.scores", "an array of numbers");
            const auto score = static_cast<float>(item.get<double>());
            bytes.append(reinterpret_cast<const char *>(&score), sizeof score);
        }
        maker.add_array("tokenizer.ggml.scores", GgufType::f32, scores->size(), std::move(bytes));
    }
    for (const char *name : {"bos_token_id", "eos_token_id"})
        if (const json *id = find_tokenizer(metadata, name))
            RZ_TRY(add_number(maker, std::string("tokenizer.ggml.") + name, *id, Number::count));
    return {};
}

struct TensorName {
    std::string_view hf, gguf;
};
constexpr TensorName kModelNames[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
};
constexpr TensorName kLayerNames[] = {
    {"input_layernorm", "attn_norm"},    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},      {"self_attn.o_proj", "attn_output"},
    {"self_attn.qkv_proj", "attn_qkv"},  {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"}, {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},           {"mlp.down_proj", "ffn_down"},
};

} // namespace

std::string gguf_tensor_name(std::string_view name) {
    for (const std::string_view suffix : {".weight", ".bias"}) {
        if (!name.ends_with(suffix)) continue;
        std::string_view stem = name.substr(0, name.size() - suffix.size());
        for (const TensorName &row : kModelNames)
            if (stem == row.hf) return std::string(row.gguf).append(suffix);
        constexpr std::string_view kLayers = "model.layers.";
        if (!stem.starts_with(kLayers)) break;
        stem.remove_prefix(kLayers.size());
        const size_t dot = std::min(stem.find('.'), stem.size() - 1);
        const std::string_view rest = stem.substr(dot + 1);
        for (const TensorName &row : kLayerNames)
            if (rest == row.hf)
                return "blk." +
                       std::string(stem.substr(0, dot + 1)).append(row.gguf).append(suffix);
    }
    return std::string(name);
}

Status entries_from_keys(const json &metadata, GgufContents &contents) {
    EntryMaker maker(contents);
    const json *architecture = find(metadata, "architecture");
    const json *kind = architecture ? architecture : find(metadata, "model_type");
    if (kind && !kind->is_string())
        return bad(architecture ? "architecture" : "model_type", "a text");
    std::string family = kind ? family_of(kind->get<std::string>()) : "unknown";
    // "llama" in GGUF has the rows of Q and K in another order than Hugging Face; with rope_type 2
    // they are as there, which is how "qwen2", the same network, has them.
    const json *rope = find(metadata, "rope_type");
    if (family == "llama" && rope && *rope == 2) family = "qwen2";
    maker.add_string("general.architecture", family);
    if (const json *name = find(metadata, "name"); name && name->is_string())
        maker.add_string("general.name", name->get<std::string>());
    if (!architecture) return {};
    for (const ModelKey &key : kModelKeys)
        if (const json *value = find(metadata, key.names))
            RZ_TRY(add_number(maker, family + "." + key.gguf, *value, key.kind));
    if (const json *text = find(metadata, "chat_template"); text && text->is_string())
        maker.add_string("tokenizer.chat_template", text->get<std::string>());
    return add_tokenizer(maker, metadata, family);
}

} // namespace realizar
