#include "core/tokenizer/tokenizer.h"

#include "core/tokenizer/kinds.h"
#include "core/tokenizer/special.h"

#include <algorithm>
#include <array>

namespace realizar {

namespace {

struct Kind {
    std::string_view model; // tokenizer.ggml.model
    Result<std::shared_ptr<const Tokenizer>> (*create)(Vocabulary);
};

constexpr Kind kKinds[] = {
    {"llama", create_spm},
    {"gpt2", create_bpe},
    {"bert", create_wordpiece},
    {"t5", create_unigram},
};

// Texts of tokens that end a turn in some model family. Files often name only one of them as EOS.
constexpr std::string_view kEndTexts[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|EOT|>",
    "<EOT>",
    "_<EOT>",
    "<|eom|>",
    "<|eot|>",
    "<|end_of_text|>",
    "<|return|>",
    "<|call|>",
    "<end_of_utterance>",
    "<|endofturn|>",
    "<|END_OF_TURN_TOKEN|>",
    "<｜end▁of▁sentence｜>",
};

bool is_atomic(TokenType type, bool parse_special) {
    return type == TokenType::user_defined ||
           (parse_special && (type == TokenType::control || type == TokenType::unknown));
}

std::unique_ptr<const SpecialMatcher> make_matcher(const Vocabulary &vocabulary,
                                                   const std::vector<std::string> &pieces,
                                                   bool parse_special) {
    std::vector<SpecialMatcher::Pattern> patterns;
    for (size_t i = 0; i < pieces.size(); ++i)
        if (!pieces[i].empty() && is_atomic(vocabulary.types[i], parse_special))
            patterns.push_back({pieces[i], static_cast<Token>(i)});
    return std::make_unique<const SpecialMatcher>(patterns);
}

std::vector<Token> find_end_tokens(const Vocabulary &vocabulary) {
    std::vector<Token> ends;
    for (const auto &token : {vocabulary.eos, vocabulary.eot, vocabulary.eom})
        if (token) ends.push_back(*token);
    // In the harmony format <|end|> ends one message of several; <|return|> ends the turn.
    bool harmony = false;
    std::vector<Token> by_text;
    std::optional<Token> end_of_message;
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
        if (!is_atomic(vocabulary.types[i], true)) continue;
        const std::string &text = vocabulary.tokens[i];
        if (std::ranges::find(kEndTexts, text) == std::end(kEndTexts)) continue;
        harmony = harmony || text == "<|return|>";
        if (text == "<|end|>") end_of_message = static_cast<Token>(i);
        by_text.push_back(static_cast<Token>(i));
    }
    if (harmony && end_of_message) std::erase(by_text, *end_of_message);
    ends.insert(ends.end(), by_text.begin(), by_text.end());
    std::ranges::sort(ends);
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    return ends;
}

// Files without types: the special ids are control tokens, the rest follows from the text.
void fill_types(Vocabulary &vocabulary) {
    if (!vocabulary.types.empty()) return;
    vocabulary.types.assign(vocabulary.tokens.size(), TokenType::normal);
    if (vocabulary.model == "llama" || vocabulary.model == "t5")
        for (size_t i = 0; i < vocabulary.tokens.size(); ++i)
            if (byte_of_token(vocabulary.tokens[i])) vocabulary.types[i] = TokenType::byte;
    for (const auto &token :
         {vocabulary.bos, vocabulary.eos, vocabulary.eot, vocabulary.eom, vocabulary.pad})
        if (token) vocabulary.types[static_cast<size_t>(*token)] = TokenType::control;
    if (vocabulary.unk) vocabulary.types[static_cast<size_t>(*vocabulary.unk)] = TokenType::unknown;
}

} // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(Vocabulary vocabulary) {
    RZ_TRY(check_vocabulary(vocabulary));
    const auto kind = std::ranges::find(kKinds, vocabulary.model, &Kind::model);
    if (kind == std::end(kKinds)) {
        std::string known;
        for (const Kind &each : kKinds)
            known.append(known.empty() ? "" : ", ").append(each.model);
        return make_error(Code::unsupported, "unsupported_tokenizer",
                          "tokenizer.ggml.model: expected one of %s, found '%s'", known.c_str(),
                          printable(vocabulary.model).c_str());
    }
    fill_types(vocabulary);
    return kind->create(std::move(vocabulary));
}

Tokenizer::Tokenizer(Vocabulary vocabulary, std::vector<std::string> pieces)
    : vocabulary_(std::move(vocabulary)), pieces_(std::move(pieces)),
      end_tokens_(find_end_tokens(vocabulary_)),
      all_atomic_(make_matcher(vocabulary_, pieces_, true)),
      user_defined_(make_matcher(vocabulary_, pieces_, false)),
      takes_prefix_off_(vocabulary_.model != "gpt2" && vocabulary_.add_space_prefix) {}

Tokenizer::~Tokenizer() = default;

Result<std::vector<Token>> Tokenizer::encode(std::string_view text,
                                             const EncodeOptions &options) const {
    if (text.size() > kMaxTextBytes)
        return make_error(Code::invalid_argument, "text_too_long",
                          "text: expected at most %zu bytes, found %zu", kMaxTextBytes,
                          text.size());
    std::vector<Token> out;
    if (options.add_special && vocabulary_.add_bos && vocabulary_.bos)
        out.push_back(*vocabulary_.bos);
    size_t done = 0;
    const SpecialMatcher &matcher = options.parse_special ? *all_atomic_ : *user_defined_;
    for (const SpecialMatcher::Match &match : matcher.find(text)) {
        if (match.begin > done)
            RZ_TRY(encode_text(text.substr(done, match.begin - done), true, out));
        out.push_back(match.token);
        done = match.begin + match.length;
    }
    if (done < text.size()) RZ_TRY(encode_text(text.substr(done), true, out));
    if (options.add_special && vocabulary_.add_eos && vocabulary_.eos)
        out.push_back(*vocabulary_.eos);
    return out;
}

std::string_view Tokenizer::next_piece(Token token, bool special, bool &at_start) const {
    const auto index = static_cast<size_t>(token);
    if (token < 0 || index >= pieces_.size()) return {};
    std::string_view text = pieces_[index];
    switch (vocabulary_.types[index]) {
    case TokenType::control:
        if (!special) return {};
        at_start = true;
        return text;
    case TokenType::unknown: return special ? text : std::string_view();
    case TokenType::user_defined: at_start = true; return text;
    default: break;
    }
    if (text.empty()) return text;
    if (at_start && takes_prefix_off_ && text.front() == ' ') text.remove_prefix(1);
    at_start = false;
    return text;
}

std::string Tokenizer::piece(Token token, bool special) const {
    bool at_start = false;
    return std::string(next_piece(token, special, at_start));
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool special) const {
    std::string text;
    bool at_start = true;
    for (const Token token : tokens)
        text += next_piece(token, special, at_start);
    return text;
}

bool Tokenizer::is_end(Token token) const { return std::ranges::binary_search(end_tokens_, token); }

} // namespace realizar
