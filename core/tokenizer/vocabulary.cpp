#include "core/format/gguf.h"
#include "core/tokenizer/charsmap.h"
#include "core/tokenizer/kinds.h"
#include "core/tokenizer/pretokenizers.h"

#include <algorithm>
#include <cmath>

namespace realizar {

namespace {

// Above these a file is broken or hostile: the largest vocabularies have 2^18 tokens, of at most
// some hundred bytes, and a few thousand special ones. The matcher of special tokens takes about 60
// bytes of memory for each byte of their text.
constexpr size_t kMaxTokens = size_t{1} << 24;
constexpr size_t kMaxTokenBytes = size_t{1} << 16;
constexpr size_t kMaxSpecialBytes = size_t{1} << 20;

struct SpecialId {
    const char *key;
    std::optional<Token> Vocabulary::*member;
    bool bert_only = false;
};

constexpr SpecialId kSpecialIds[] = {
    {"tokenizer.ggml.bos_token_id", &Vocabulary::bos},
    {"tokenizer.ggml.eos_token_id", &Vocabulary::eos},
    {"tokenizer.ggml.eot_token_id", &Vocabulary::eot},
    {"tokenizer.ggml.eom_token_id", &Vocabulary::eom},
    {"tokenizer.ggml.unknown_token_id", &Vocabulary::unk},
    {"tokenizer.ggml.padding_token_id", &Vocabulary::pad},
    // Later rows count; the second is how files spell it.
    {"tokenizer.ggml.cls_token_id", &Vocabulary::bos, true},
    {"tokenizer.ggml.seperator_token_id", &Vocabulary::eos, true},
    {"tokenizer.ggml.separator_token_id", &Vocabulary::eos, true},
};

Error bad_vocab_count(const char *key, size_t expected, size_t found) {
    return make_error(Code::malformed, "array_mismatch",
                      "%s: expected one entry for each of the %zu tokens, found %zu", key, expected,
                      found);
}

Status check_token_count(const Vocabulary &vocabulary) {
    const size_t count = vocabulary.tokens.size();
    if (count > 0 && count <= kMaxTokens) return {};
    return make_error(Code::malformed, "bad_vocab",
                      "tokenizer.ggml.tokens: expected 1 to %zu tokens, found %zu", kMaxTokens,
                      count);
}

Status check_token(const Vocabulary &vocabulary, size_t i, size_t &special_bytes) {
    const std::string &text = vocabulary.tokens[i];
    if (text.size() > kMaxTokenBytes)
        return make_error(Code::malformed, "bad_vocab",
                          "token %zu: expected at most %zu bytes, found %zu", i, kMaxTokenBytes,
                          text.size());
    if (vocabulary.types.empty()) return {};
    switch (vocabulary.types[i]) {
    case TokenType::undefined:
    case TokenType::normal:
    case TokenType::unused: return {};
    case TokenType::unknown:
    case TokenType::control:
    case TokenType::user_defined:
        special_bytes += text.size();
        if (special_bytes <= kMaxSpecialBytes) return {};
        return make_error(Code::malformed, "bad_vocab",
                          "token %zu: expected at most %zu bytes in all special tokens, found more",
                          i, kMaxSpecialBytes);
    case TokenType::byte:
        if (byte_of_token(text)) return {};
        return make_error(Code::malformed, "bad_vocab",
                          "byte token %zu: expected <0x00> to <0xFF>, found '%s'", i,
                          printable(text).c_str());
    }
    return make_error(Code::malformed, "bad_vocab",
                      "tokenizer.ggml.token_type: expected 0 to 6 for token %zu, found %d", i,
                      static_cast<int>(vocabulary.types[i]));
}

// Elements of the array at `key`; nullptr if there is none.
Result<const GgufArray *> find_array(const GgufFile &file, const char *key,
                                     std::initializer_list<GgufType> allowed,
                                     const char *expected) {
    RZ_ASSIGN(const GgufArray *array, file.get_array(key));
    if (!array) return array;
    for (const GgufType type : allowed)
        if (array->element == type) return array;
    return make_error(Code::malformed, "wrong_type",
                      "%s: expected an array of %s, found element type %u", key, expected,
                      static_cast<unsigned>(array->element));
}

Result<std::vector<std::string>> read_strings(const GgufFile &file, const char *key) {
    RZ_ASSIGN(const GgufArray *array, find_array(file, key, {GgufType::string}, "strings"));
    if (!array) return std::vector<std::string>();
    return std::vector<std::string>(array->strings.begin(), array->strings.end());
}

Status read_special_ids(const GgufFile &file, Vocabulary &vocabulary) {
    for (const SpecialId &id : kSpecialIds) {
        const GgufEntry *entry = file.find(id.key);
        if (!entry || (id.bert_only && vocabulary.model != "bert")) continue;
        long long value = -1; // unsigned values above the range of long long are out of range too
        if (const auto *number = std::get_if<uint64_t>(&entry->value)) {
            if (*number < kMaxTokens) value = static_cast<long long>(*number);
        } else if (const auto *signed_number = std::get_if<int64_t>(&entry->value)) {
            value = *signed_number;
        } else {
            return make_error(Code::malformed, "wrong_type",
                              "%s: expected an integer, found value type %u", id.key,
                              static_cast<unsigned>(entry->type));
        }
        if (value < 0 || static_cast<size_t>(value) >= vocabulary.tokens.size())
            return make_error(Code::malformed, "bad_token_id", "%s: expected 0 to %zu, found %s",
                              id.key, vocabulary.tokens.size() - 1,
                              value < 0 ? "a number outside that range"
                                        : std::to_string(value).c_str());
        vocabulary.*id.member = static_cast<Token>(value);
    }
    return {};
}

// BERT's files name [CLS] and [SEP], which stand where others have BOS and EOS; all of its special
// tokens have fixed texts.
void default_bert_ids(Vocabulary &vocabulary) {
    const auto fill = [&](std::optional<Token> &slot, std::string_view text) {
        const auto found = std::ranges::find(vocabulary.tokens, text);
        if (!slot && found != vocabulary.tokens.end())
            slot = static_cast<Token>(found - vocabulary.tokens.begin());
    };
    fill(vocabulary.bos, "[CLS]");
    fill(vocabulary.eos, "[SEP]");
    fill(vocabulary.unk, "[UNK]");
    fill(vocabulary.pad, "[PAD]");
}

// SentencePiece models without ids in the file: <unk>, <s> and </s> are the first three tokens.
void default_spm_ids(Vocabulary &vocabulary) {
    const auto fill = [&](std::optional<Token> &slot, size_t id, std::string_view text) {
        if (!slot && id < vocabulary.tokens.size() && vocabulary.tokens[id] == text)
            slot = static_cast<Token>(id);
    };
    fill(vocabulary.unk, 0, "<unk>");
    fill(vocabulary.bos, 1, "<s>");
    fill(vocabulary.eos, 2, "</s>");
}

// What holds when the file does not say.
struct KindDefaults {
    const char *model;
    bool add_bos, add_eos, add_space_prefix, remove_extra_spaces;
};

constexpr KindDefaults kKindDefaults[] = {
    {"llama", true, false, true, false},
    {"bert", true, true, true, false},
    {"t5", false, true, true, true},
    {"gpt2", false, false, false, false},
};

Status read_flags(const GgufFile &file, Vocabulary &vocabulary) {
    // An unknown kind or name is reported by Tokenizer::create.
    KindDefaults defaults = kKindDefaults[std::size(kKindDefaults) - 1];
    for (const KindDefaults &row : kKindDefaults)
        if (vocabulary.model == row.model) defaults = row;
    if (vocabulary.model == "gpt2") {
        const auto row = find_pretokenizer(vocabulary.pre);
        defaults.add_bos = row.ok() && (*row)->add_bos;
    }
    RZ_ASSIGN(const auto bos, file.get_bool("tokenizer.ggml.add_bos_token"));
    RZ_ASSIGN(const auto eos, file.get_bool("tokenizer.ggml.add_eos_token"));
    RZ_ASSIGN(const auto prefix, file.get_bool("tokenizer.ggml.add_space_prefix"));
    RZ_ASSIGN(const auto extra, file.get_bool("tokenizer.ggml.remove_extra_whitespaces"));
    vocabulary.add_bos = bos.value_or(defaults.add_bos);
    vocabulary.add_eos = eos.value_or(defaults.add_eos);
    vocabulary.add_space_prefix = prefix.value_or(defaults.add_space_prefix);
    vocabulary.remove_extra_spaces = extra.value_or(defaults.remove_extra_spaces);
    return {};
}

// The normalisation table of unigram models.
Status read_charsmap(const GgufFile &file, Vocabulary &vocabulary) {
    RZ_ASSIGN(const GgufArray *map, find_array(file, "tokenizer.ggml.precompiled_charsmap",
                                               {GgufType::u8, GgufType::i8}, "bytes"));
    if (!map) return {};
    RZ_ASSIGN([[maybe_unused]] const Charsmap checked, Charsmap::create(map->bytes));
    if (vocabulary.model == "t5")
        vocabulary.charsmap.assign(reinterpret_cast<const char *>(map->bytes.data()),
                                   map->bytes.size());
    return {};
}

} // namespace

std::optional<uint8_t> byte_of_token(std::string_view text) {
    if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
    int byte = 0;
    for (const char c : text.substr(3, 2)) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) return std::nullopt;
        byte = byte * 16 + digit;
    }
    return static_cast<uint8_t>(byte);
}

Status check_vocabulary(const Vocabulary &vocabulary) {
    RZ_TRY(check_token_count(vocabulary));
    const size_t count = vocabulary.tokens.size();
    if (!vocabulary.types.empty() && vocabulary.types.size() != count)
        return bad_vocab_count("tokenizer.ggml.token_type", count, vocabulary.types.size());
    const bool needs_scores = vocabulary.model == "llama" || vocabulary.model == "t5";
    if ((needs_scores || !vocabulary.scores.empty()) && vocabulary.scores.size() != count)
        return bad_vocab_count("tokenizer.ggml.scores", count, vocabulary.scores.size());
    for (size_t i = 0; i < vocabulary.scores.size(); ++i)
        if (!std::isfinite(vocabulary.scores[i]))
            return make_error(Code::malformed, "bad_vocab",
                              "tokenizer.ggml.scores: expected a finite number for token %zu", i);
    size_t special_bytes = 0;
    for (size_t i = 0; i < count; ++i)
        RZ_TRY(check_token(vocabulary, i, special_bytes));
    for (const SpecialId &id : kSpecialIds) {
        const std::optional<Token> &token = vocabulary.*id.member;
        if (token && (*token < 0 || static_cast<size_t>(*token) >= count))
            return make_error(Code::malformed, "bad_token_id", "%s: expected 0 to %zu, found %d",
                              id.key, count - 1, *token);
    }
    return {};
}

Result<Vocabulary> vocabulary_from_gguf(const GgufFile &file) {
    Vocabulary vocabulary;
    RZ_ASSIGN(const auto model, file.require_string("tokenizer.ggml.model"));
    vocabulary.model = model;
    RZ_ASSIGN(const auto pre, file.get_string("tokenizer.ggml.pre"));
    vocabulary.pre = pre.value_or("");
    RZ_ASSIGN(vocabulary.tokens, read_strings(file, "tokenizer.ggml.tokens"));
    RZ_ASSIGN(vocabulary.merges, read_strings(file, "tokenizer.ggml.merges"));

    RZ_ASSIGN(const GgufArray *scores,
              find_array(file, "tokenizer.ggml.scores", {GgufType::f32}, "f32"));
    for (uint64_t i = 0; scores && i < scores->count; ++i)
        vocabulary.scores.push_back(static_cast<float>(scores->number(i)));
    RZ_ASSIGN(const GgufArray *types,
              find_array(file, "tokenizer.ggml.token_type", {GgufType::i32, GgufType::u32}, "i32"));
    for (uint64_t i = 0; types && i < types->count; ++i)
        vocabulary.types.push_back(static_cast<TokenType>(types->integer(i)));

    RZ_TRY(read_charsmap(file, vocabulary));
    RZ_TRY(check_token_count(vocabulary));
    RZ_TRY(read_special_ids(file, vocabulary));
    if (vocabulary.model == "llama") default_spm_ids(vocabulary);
    if (vocabulary.model == "bert") default_bert_ids(vocabulary);
    RZ_TRY(read_flags(file, vocabulary));
    RZ_ASSIGN(const auto chat_template, file.get_string("tokenizer.chat_template"));
    vocabulary.chat_template = chat_template.value_or("");
    RZ_TRY(check_vocabulary(vocabulary));
    return vocabulary;
}

} // namespace realizar
