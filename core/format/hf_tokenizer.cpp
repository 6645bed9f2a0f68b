#include "core/format/hf_tokenizer.h"

#include "core/format/json_bounded.h"
#include "core/format/mapping.h"
#include "core/format/sentencepiece_model.h"

#include <charconv>

namespace realizar {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxFile = uint64_t(32) << 20;
constexpr int32_t kControl = 3, kUserDefined = 4, kUnused = 5;
// Lower than any piece's score: merging never prefers an added token.
constexpr float kAddedScore = -1e4f;

struct Tokens {
    std::vector<std::string> texts;
    std::vector<float> scores;
    std::vector<int32_t> types;

    void put(size_t id, std::string text, float score, int32_t type) {
        texts[id] = std::move(text);
        scores[id] = score;
        types[id] = type;
    }
};

bool is_there(const std::filesystem::path &path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

Result<SentencePieceModel> read_model(const std::filesystem::path &folder) {
    const auto path = folder / "tokenizer.model";
    if (!is_there(path))
        return make_error(Code::unsupported, "no_tokenizer",
                          "%s: expected tokenizer.model (SentencePiece), found none",
                          printable(folder.native(), 4096).c_str());
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

// "added_tokens_decoder": {"32000": {"content": "<|im_start|>", "special": true}}. Only ids beyond
// the pieces are added: the others repeat what tokenizer.model has.
Status add_tokens(const json &settings, size_t pieces, Tokens &tokens) {
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
        if (id < pieces) continue;
        const auto special = item.find("special");
        const bool is_control = special != item.end() && *special == true;
        tokens.put(id, item["content"].get<std::string>(), kAddedScore,
                   is_control ? kControl : kUserDefined);
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

void set_id(GgufWriter &writer, const char *key, int32_t id) {
    if (id >= 0) writer.set_u32(key, static_cast<uint32_t>(id));
}

} // namespace

Status set_hf_tokenizer(const std::filesystem::path &folder, uint32_t vocabulary,
                        GgufWriter &writer) {
    RZ_ASSIGN(const SentencePieceModel model, read_model(folder));
    RZ_ASSIGN(const json settings, read_settings(folder));
    const size_t pieces = model.pieces.size();
    if (pieces > vocabulary)
        return make_error(Code::malformed, "shape_mismatch",
                          "tokenizer.model: expected at most %u pieces, the rows of the embedding, "
                          "found %zu",
                          vocabulary, pieces);
    Tokens tokens;
    tokens.texts.resize(vocabulary);
    tokens.scores.resize(vocabulary);
    tokens.types.resize(vocabulary);
    for (size_t id = 0; id < pieces; ++id)
        tokens.put(id, model.pieces[id].text, model.pieces[id].score, model.pieces[id].type);
    for (size_t id = pieces; id < vocabulary; ++id)
        tokens.put(id, "[PAD" + std::to_string(id) + "]", kAddedScore, kUnused);
    RZ_TRY(add_tokens(settings, pieces, tokens));

    writer.set_string("tokenizer.ggml.model", "llama");
    writer.set_string("tokenizer.ggml.pre", "default");
    writer.set_string_array("tokenizer.ggml.tokens", tokens.texts);
    writer.set_f32_array("tokenizer.ggml.scores", tokens.scores);
    writer.set_i32_array("tokenizer.ggml.token_type", tokens.types);
    set_id(writer, "tokenizer.ggml.bos_token_id", model.bos_id);
    set_id(writer, "tokenizer.ggml.eos_token_id", model.eos_id);
    set_id(writer, "tokenizer.ggml.unknown_token_id", model.unk_id);
    set_id(writer, "tokenizer.ggml.padding_token_id", model.pad_id);
    writer.set_bool("tokenizer.ggml.add_bos_token", setting(settings, "add_bos_token", true));
    writer.set_bool("tokenizer.ggml.add_eos_token", setting(settings, "add_eos_token", false));
    if (!model.add_dummy_prefix) writer.set_bool("tokenizer.ggml.add_space_prefix", false);
    return set_chat_template(folder, settings, writer);
}

} // namespace realizar
