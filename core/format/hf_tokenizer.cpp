#include "core/format/hf_tokenizer.h"

#include "core/format/hf_tokens.h"
#include "core/format/json_bounded.h"
#include "core/format/mapping.h"
#include "core/format/sentencepiece_model.h"

#include <charconv>

namespace realizar {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxFile = uint64_t(32) << 20;
// Lower than any piece's score: merging never prefers an added token.
constexpr float kAddedScore = -1e4f;

bool is_there(const std::filesystem::path &path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

Result<SentencePieceModel> read_model(const std::filesystem::path &path) {
    RZ_ASSIGN(const std::string bytes, read_small_file(path, kMaxFile));
    auto model = parse_sentencepiece_model(std::as_bytes(std::span(bytes)));
    if (!model) return std::move(model).error().within("tokenizer.model");
    if (model->kind != SentencePieceModel::Kind::bpe)
        return make_error(Code::unsupported, "unsupported_tokenizer",
                          "tokenizer.model: expected model type 2 (BPE), found %d",
                          static_cast<int>(model->kind));
    return model;
}

Result<json> read_settings(const std::filesystem::path &folder) {
    const auto path = folder / "tokenizer_config.json";
    if (!is_there(path)) return json::object();
    RZ_ASSIGN(const std::string text, read_small_file(path, kMaxFile));
    auto settings = parse_json(text);
    if (!settings) return std::move(settings).error().within("tokenizer_config.json");
    if (settings->is_object()) return settings;
    return make_error(Code::malformed, "bad_tokenizer_config",
                      "tokenizer_config.json: expected a JSON object");
}

// "added_tokens_decoder": {"32000": {"content": "<|im_start|>", "special": true}}. Below `pieces`
// they repeat what tokenizer.model has, and only say which of its tokens are special.
Status add_tokens(const json &settings, size_t pieces, HfTokens &tokens) {
    const auto added = settings.find("added_tokens_decoder");
    if (added == settings.end() || !added->is_object()) return {};
    for (const auto &[key, item] : added->items()) {
        size_t id = 0;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        const bool is_id = error == std::errc() && end == key.data() + key.size();
        if (!is_id || id >= tokens.texts.size() || !item.is_object() || !item.contains("content") ||
            !item["content"].is_string())
            return make_error(
                Code::malformed, "bad_tokenizer_config",
                "tokenizer_config.json: added token '%s': expected an id below %zu with a "
                "text 'content'",
                printable(key).c_str(), tokens.texts.size());
        const auto text = item["content"].get<std::string>();
        const auto special = item.find("special");
        const bool is_control = special != item.end() && *special == true;
        if (id < pieces) {
            const bool plain = tokens.types[id] == kHfNormal || tokens.types[id] == kHfUserDefined;
            if (is_control && plain && tokens.texts[id] == text) tokens.types[id] = kHfControl;
            continue;
        }
        tokens.texts[id] = text;
        tokens.types[id] = is_control ? kHfControl : kHfUserDefined;
    }
    return {};
}

Status set_chat_template(const std::filesystem::path &folder, const json &settings,
                         GgufWriter &writer) {
    const auto path = folder / "chat_template.jinja";
    if (is_there(path)) {
        RZ_ASSIGN(const std::string text, read_small_file(path, kMaxFile));
        writer.set_string("tokenizer.chat_template", text);
        return {};
    }
    const auto found = settings.find("chat_template");
    if (found != settings.end() && found->is_string())
        writer.set_string("tokenizer.chat_template", found->get<std::string>());
    return {};
}

bool setting(const json &settings, const char *key, bool fallback) {
    const auto found = settings.find(key);
    return found != settings.end() && found->is_boolean() ? found->get<bool>() : fallback;
}

// "eos_token" is a text or an object with a "content".
std::optional<uint32_t> named_token(const json &settings, const char *key, const HfTokens &tokens) {
    auto found = settings.find(key);
    if (found == settings.end()) return std::nullopt;
    const json *value = &*found;
    if (value->is_object() && value->contains("content")) value = &(*value)["content"];
    return value->is_string() ? tokens.find(value->get<std::string>()) : std::nullopt;
}

// Special tokens by what is closest to the tokenizer: tokenizer_config.json, the vocabulary itself,
// config.json.
void set_id(GgufWriter &writer, const char *key, std::optional<uint32_t> named, int64_t own,
            uint32_t configured, const HfTokens &tokens) {
    std::optional<uint32_t> id = named;
    if (!id && own >= 0) id = static_cast<uint32_t>(own);
    if (!id && configured != HfConfig::kNoId) id = configured;
    if (id && *id < tokens.texts.size()) writer.set_u32(key, *id);
}

struct SpecialIds {
    int64_t bos = -1, eos = -1, unk = -1, pad = -1; // of tokenizer.model
};

Result<SpecialIds> set_sentencepiece(const std::filesystem::path &path, const json &settings,
                                     HfTokens &tokens, GgufWriter &writer) {
    RZ_ASSIGN(const SentencePieceModel model, read_model(path));
    const size_t pieces = model.pieces.size();
    if (pieces > tokens.texts.size())
        return make_error(
            Code::malformed, "shape_mismatch",
            "tokenizer.model: expected at most %zu pieces, the rows of the embedding, "
            "found %zu",
            tokens.texts.size(), pieces);
    tokens.scores.assign(tokens.texts.size(), kAddedScore);
    for (size_t id = 0; id < pieces; ++id) {
        tokens.texts[id] = model.pieces[id].text;
        tokens.scores[id] = model.pieces[id].score;
        tokens.types[id] = model.pieces[id].type;
    }
    RZ_TRY(add_tokens(settings, pieces, tokens));
    writer.set_string("tokenizer.ggml.model", "llama");
    writer.set_string("tokenizer.ggml.pre", "default");
    if (!model.add_dummy_prefix) writer.set_bool("tokenizer.ggml.add_space_prefix", false);
    return SpecialIds{model.bos_id, model.eos_id, model.unk_id, model.pad_id};
}

} // namespace

Status set_hf_tokenizer(const std::filesystem::path &folder, const HfConfig &config,
                        GgufWriter &writer) {
    RZ_ASSIGN(const json settings, read_settings(folder));
    HfTokens tokens(config.vocabulary);
    SpecialIds own;
    bool add_bos = true;
    if (const auto path = folder / "tokenizer.model"; is_there(path)) {
        RZ_ASSIGN(own, set_sentencepiece(path, settings, tokens, writer));
    } else if (const auto other = folder / "tokenizer.json"; is_there(other)) {
        RZ_ASSIGN(const auto leading, read_hf_tokenizer_json(other, tokens, writer));
        add_bos = leading.has_value();
        if (leading) own.bos = *leading;
    } else {
        return make_error(Code::unsupported, "no_tokenizer",
                          "%s: expected tokenizer.model (SentencePiece) or tokenizer.json, found "
                          "neither",
                          printable(folder.native(), 4096).c_str());
    }
    writer.set_string_array("tokenizer.ggml.tokens", tokens.texts);
    if (!tokens.scores.empty()) writer.set_f32_array("tokenizer.ggml.scores", tokens.scores);
    writer.set_i32_array("tokenizer.ggml.token_type", tokens.types);
    const auto named = [&](const char *key) { return named_token(settings, key, tokens); };
    constexpr uint32_t kNone = HfConfig::kNoId;
    set_id(writer, "tokenizer.ggml.bos_token_id", named("bos_token"), own.bos, config.bos, tokens);
    set_id(writer, "tokenizer.ggml.eos_token_id", named("eos_token"), own.eos, config.eos, tokens);
    set_id(writer, "tokenizer.ggml.unknown_token_id", named("unk_token"), own.unk, kNone, tokens);
    set_id(writer, "tokenizer.ggml.padding_token_id", named("pad_token"), own.pad, kNone, tokens);
    writer.set_bool("tokenizer.ggml.add_bos_token", setting(settings, "add_bos_token", add_bos));
    writer.set_bool("tokenizer.ggml.add_eos_token", setting(settings, "add_eos_token", false));
    return set_chat_template(folder, settings, writer);
}

} // namespace realizar
