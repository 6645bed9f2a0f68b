// WordPiece ("bert"; Devlin et al. 2018, Wu et al. 2016): text without case and accents, words cut
// at spaces and punctuation, each word the longest tokens from its left.
//
// Files mark tokens that begin a word with U+2581; in BERT's own lists it is the others that carry a
// mark ("##"). Here the mark becomes a space, and so does the beginning of each word.
#include "core/tokenizer/fold.h"
#include "core/tokenizer/kinds.h"
#include "core/tokenizer/pattern.h"
#include "core/tokenizer/space_mark.h"
#include "core/tokenizer/utf8.h"

#include <algorithm>
#include <unordered_map>

namespace realizar {
namespace {

// Longer words are unknown, as in the published models; it also bounds the time per word.
constexpr size_t kMaxWordCharacters = 100;

// What is left out: control and format characters, private use, marks and U+FFFD.
constexpr std::string_view kIgnored = R"((?:(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Mn}\x{FFFD}])+)";
// Punctuation (of ASCII all that is neither letter, digit nor space) and ideographs stand alone.
#define RZ_IDEOGRAPHS                                                                              \
    R"(\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F})"                  \
    R"(\x{2B740}-\x{2B81F}\x{2B820}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F})"
constexpr std::string_view kWords = R"([!-/:-@\[-`{-~\p{P})" RZ_IDEOGRAPHS R"(]|)"
                                    R"([^\s!-/:-@\[-`{-~\p{P})" RZ_IDEOGRAPHS R"(]+)";
#undef RZ_IDEOGRAPHS

class WordPieceTokenizer final : public Tokenizer {
  public:
    WordPieceTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces, Pattern ignored,
                       Pattern words);

  protected:
    Status encode_text(std::string_view text, bool add_prefix,
                       std::vector<Token> &out) const override;

  private:
    bool encode_word(std::string_view spaced, std::vector<Token> &out) const;

    Pattern ignored_, words_;
    std::unordered_map<std::string_view, Token> tokens_; // keys lie in pieces_
    size_t longest_ = 0;                                 // bytes of a token
};

WordPieceTokenizer::WordPieceTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces,
                                       Pattern ignored, Pattern words)
    : Tokenizer(std::move(vocabulary), std::move(pieces)), ignored_(std::move(ignored)),
      words_(std::move(words)) {
    for (size_t i = 0; i < pieces_.size(); ++i) {
        const TokenType type = vocabulary_.types[i];
        if (pieces_[i].empty() || type == TokenType::control || type == TokenType::unknown)
            continue;
        tokens_.try_emplace(pieces_[i], static_cast<Token>(i));
        longest_ = std::max(longest_, pieces_[i].size());
    }
}

Status WordPieceTokenizer::encode_text(std::string_view text, bool, std::vector<Token> &out) const {
    const std::string folded = folded_text(text);
    std::string kept;
    kept.reserve(folded.size());
    size_t done = 0;
    RZ_TRY(ignored_.each_match(folded, [&](size_t begin, size_t end) {
        kept.append(folded, done, begin - done);
        done = end;
    }));
    kept.append(folded, done);

    bool unencodable = false;
    std::string word;
    RZ_TRY(words_.each_match(kept, [&](size_t begin, size_t end) {
        word.assign(1, ' ').append(kept, begin, end - begin);
        if (encode_word(word, out)) return;
        if (vocabulary_.unk)
            out.push_back(*vocabulary_.unk);
        else
            unencodable = true;
    }));
    if (!unencodable) return {};
    return make_error(Code::invalid_argument, "unencodable_text",
                      "text: expected words of the vocabulary, which has no unknown token, found "
                      "another one");
}

// False, with `out` as it was, if the word is not made of tokens.
bool WordPieceTokenizer::encode_word(std::string_view spaced, std::vector<Token> &out) const {
    const auto is_first_byte = [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; };
    if (static_cast<size_t>(std::ranges::count_if(spaced, is_first_byte)) > kMaxWordCharacters + 1)
        return false;
    const size_t before = out.size();
    for (size_t begin = 0; begin < spaced.size();) {
        auto found = tokens_.end();
        size_t length = std::min(longest_, spaced.size() - begin);
        for (; length > 0 && found == tokens_.end(); length -= found == tokens_.end())
            found = tokens_.find(spaced.substr(begin, length));
        if (found == tokens_.end()) {
            out.resize(before);
            return false;
        }
        out.push_back(found->second);
        begin += length;
    }
    return true;
}

} // namespace

Result<std::shared_ptr<const Tokenizer>> create_wordpiece(Vocabulary vocabulary) {
    RZ_ASSIGN(Pattern ignored, Pattern::compile(kIgnored));
    RZ_ASSIGN(Pattern words, Pattern::compile(kWords));
    std::vector<std::string> pieces = unmarked_pieces(vocabulary);
    return std::shared_ptr<const Tokenizer>(std::make_shared<WordPieceTokenizer>(
        std::move(vocabulary), std::move(pieces), std::move(ignored), std::move(words)));
}

} // namespace realizar
