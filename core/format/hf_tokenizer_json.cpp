// tokenizer.json, the format of the "tokenizers" library: byte-level BPE.
#include "core/format/hf_tokens.h"

#include "core/format/json_bounded.h"
#include "core/format/mapping.h"
#include "core/format/published_patterns.h"

namespace realizar {
namespace {

using nlohmann::json;

// The largest published files have 28 MB, 200 thousand tokens and 450 thousand merges.
constexpr uint64_t kMaxFile = uint64_t(64) << 20;
constexpr JsonLimits kLimits{.values = 4'000'000};

// How a text is cut into words, step by step, and the name of that in GGUF.
struct KnownSteps {
    const char *pre;
    std::vector<std::string_view> steps; // patterns, or the two names below
};
constexpr std::string_view kByteLevel = "ByteLevel", kDigits = "Digits";

const std::vector<KnownSteps> &known_steps() {
    static const std::vector<KnownSteps> table = {
        {"gpt-2", {kByteLevel}},  {"starcoder", {kDigits, kByteLevel}},
        {"llama-bpe", {kLlama3}}, {"qwen2", {kQwen2}},
        {"qwen35", {kQwen35}},    {"gpt-4o", {kGpt4o}},
        {"tekken", {kTekken}},
    };
    return table;
}

Error bad(const char *expected) {
    return make_error(Code::malformed, "bad_tokenizer_json", "tokenizer.json: expected %s",
                      expected);
}

const json *find(const json &object, const char *key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_at(const json &object, const char *key) {
    const json *value = find(object, key);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

// Appends the steps of a pre-tokenizer; unknown ones by their type.
void add_steps(const json &step, std::vector<std::string> &steps) {
    const std::string type = text_at(step, "type");
    if (const json *list = find(step, "pretokenizers"); type == "Sequence" && list) {
        for (const json &item : *list)
            if (text_at(item, "type") != "Sequence") add_steps(item, steps);
        return;
    }
    const auto is_false = [&](const char *key) {
        const json *value = find(step, key);
        return value && *value == false;
    };
    if (type == "ByteLevel" && is_false("use_regex")) return; // bytes only, no cutting
    const json *pattern = find(step, "pattern");
    if (type == "Split" && pattern && text_at(step, "behavior") == "Isolated") {
        steps.push_back(text_at(*pattern, "Regex"));
        return;
    }
    if (type == kDigits && is_false("individual_digits"))
        steps.push_back("Digits in runs");
    else
        steps.push_back(type);
}

Result<const char *> find_pre(const json &root) {
    std::vector<std::string> steps;
    if (const json *step = find(root, "pre_tokenizer")) add_steps(*step, steps);
    for (const KnownSteps &row : known_steps())
        if (std::ranges::equal(row.steps, steps)) return row.pre;
    std::string found, known;
    for (const std::string &step : steps)
        found += (found.empty() ? "" : ", then ") + printable(step, 200);
    for (const KnownSteps &row : known_steps())
        known += (known.empty() ? "" : ", ") + std::string(row.pre);
    return make_error(Code::unsupported, "unsupported_pretokenizer",
                      "tokenizer.json: expected the pre_tokenizer of one of %s, found: %s",
                      known.c_str(), found.c_str());
}

Result<size_t> token_id(const json &value, const HfTokens &tokens) {
    if (value.is_number_unsigned() && value.get<uint64_t>() < tokens.texts.size())
        return static_cast<size_t>(value.get<uint64_t>());
    return make_error(Code::malformed, "shape_mismatch",
                      "tokenizer.json: expected ids below %zu, the rows of the embedding, found %s",
                      tokens.texts.size(), printable(value.dump()).c_str());
}

// "a b", or in newer files ["a", "b"].
Result<std::vector<std::string>> read_merges(const json &model) {
    std::vector<std::string> out;
    const json *merges = find(model, "merges");
    if (!merges || !merges->is_array()) return bad("model.merges to be an array");
    for (const json &merge : *merges) {
        if (merge.is_string()) {
            out.push_back(merge.get<std::string>());
        } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                   merge[1].is_string()) {
            out.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
        } else {
            return bad("each merge to be two texts");
        }
    }
    return out;
}

Status read_tokens(const json &root, const json &model, HfTokens &tokens) {
    const json *vocabulary = find(model, "vocab");
    if (!vocabulary || !vocabulary->is_object()) return bad("model.vocab to be an object");
    for (const auto &[text, value] : vocabulary->items()) {
        RZ_ASSIGN(const size_t id, token_id(value, tokens));
        tokens.texts[id] = text;
        tokens.types[id] = kHfNormal;
    }
    const json *added = find(root, "added_tokens");
    if (!added) return {};
    for (const json &item : *added) {
        const json *value = find(item, "id"), *special = find(item, "special");
        const std::string text = text_at(item, "content");
        if (!value || text.empty()) return bad("added_tokens to have ids and contents");
        RZ_ASSIGN(const size_t id, token_id(*value, tokens));
        tokens.texts[id] = text;
        tokens.types[id] = special && *special == true ? kHfControl : kHfUserDefined;
    }
    return {};
}

// The template of a single text may begin with a special token: {"SpecialToken": {"id": "<s>"}}.
std::optional<uint32_t> leading_token(const json &root, const HfTokens &tokens) {
    const json *step = find(root, "post_processor");
    if (!step) return std::nullopt;
    const json *list = find(*step, "processors");
    const auto single_of = [](const json &item) {
        return text_at(item, "type") == "TemplateProcessing" ? find(item, "single") : nullptr;
    };
    const json *single = single_of(*step);
    if (list && list->is_array())
        for (const json &item : *list)
            if (!single) single = single_of(item);
    if (!single || !single->is_array() || single->empty()) return std::nullopt;
    const json *token = find(single->front(), "SpecialToken");
    return token ? tokens.find(text_at(*token, "id")) : std::nullopt;
}

} // namespace

Result<std::optional<uint32_t>> read_hf_tokenizer_json(const std::filesystem::path &path,
                                                       HfTokens &tokens, GgufWriter &writer) {
    RZ_ASSIGN(const std::string text, read_small_file(path, kMaxFile));
    auto parsed = parse_json(text, kLimits);
    if (!parsed) return std::move(parsed).error().within("tokenizer.json");
    const json *model = find(*parsed, "model");
    if (!model) return bad("an object with 'model'");
    // Old files leave the type out.
    if (const std::string type = text_at(*model, "type"); !type.empty() && type != "BPE")
        return make_error(Code::unsupported, "unsupported_tokenizer",
                          "tokenizer.json: expected model type BPE, found '%s'",
                          printable(type).c_str());
    if (const json *fallback = find(*model, "byte_fallback"); fallback && *fallback == true)
        return make_error(Code::unsupported, "unsupported_tokenizer",
                          "tokenizer.json: expected byte-level BPE, found SentencePiece BPE, which "
                          "needs tokenizer.model");
    RZ_ASSIGN(const char *pre, find_pre(*parsed));
    RZ_TRY(read_tokens(*parsed, *model, tokens));
    RZ_ASSIGN(const std::vector<std::string> merges, read_merges(*model));
    writer.set_string("tokenizer.ggml.model", "gpt2");
    writer.set_string("tokenizer.ggml.pre", pre);
    writer.set_string_array("tokenizer.ggml.merges", merges);
    return leading_token(*parsed, tokens);
}

} // namespace realizar
