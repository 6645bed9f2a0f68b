// SentencePiece BPE ("llama"): merges by token score over characters, no word splitting, bytes for
// characters without a token (Kudo and Richardson 2018; BPE as in Sennrich et al. 2016).
#include "core/tokenizer/kinds.h"
#include "core/tokenizer/merge.h"
#include "core/tokenizer/space_mark.h"
#include "core/tokenizer/utf8.h"

#include <algorithm>
#include <array>
#include <functional>
#include <unordered_map>

namespace realizar {

namespace {

// A space inside a token after something else: then merges may cross word boundaries.
bool spans_words(std::string_view piece) {
    for (size_t i = 1; i < piece.size(); ++i)
        if (piece[i] == ' ' && piece[i - 1] != ' ') return true;
    return false;
}

class SpmTokenizer final : public Tokenizer {
  public:
    SpmTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces);

  protected:
    Status encode_text(std::string_view text, bool add_prefix,
                       std::vector<Token> &out) const override;

  private:
    Status encode_word(std::string_view text, size_t begin, size_t end, BpeMerger &merger,
                       bool &after_unknown, std::vector<Token> &out) const;
    Status append_symbol(std::string_view symbol, bool &after_unknown,
                         std::vector<Token> &out) const;

    // rank: of the score, 0 for the highest; equal scores share a rank.
    std::unordered_map<std::string_view, BpeMerge> words_; // keys lie in pieces_
    std::array<Token, 256> bytes_;                         // -1: none
    bool words_span_spaces_ = false;
};

SpmTokenizer::SpmTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces)
    : Tokenizer(std::move(vocabulary), std::move(pieces)) {
    bytes_.fill(-1);
    std::vector<float> scores = vocabulary_.scores;
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    words_.reserve(pieces_.size());
    for (size_t i = 0; i < pieces_.size(); ++i) {
        const auto id = static_cast<Token>(i);
        const std::string &piece = pieces_[i];
        switch (vocabulary_.types[i]) {
        case TokenType::byte: {
            Token &slot = bytes_[static_cast<uint8_t>(piece[0])];
            if (slot < 0) slot = id;
            break;
        }
        case TokenType::undefined:
        case TokenType::normal: {
            if (piece.empty()) break;
            const auto rank = std::lower_bound(scores.begin(), scores.end(), vocabulary_.scores[i],
                                               std::greater<>()) -
                              scores.begin();
            words_.try_emplace(piece, BpeMerge{static_cast<uint32_t>(rank), id});
            words_span_spaces_ = words_span_spaces_ || spans_words(piece);
            break;
        }
        default: break; // atomic tokens are split off before, unused ones never come out
        }
    }
}

Status SpmTokenizer::encode_text(std::string_view text, bool add_prefix,
                                 std::vector<Token> &out) const {
    std::string spaced = add_prefix && vocabulary_.add_space_prefix ? " " : "";
    spaced += spaces_unmarked(text);
    const std::string_view all = spaced;
    BpeMerger merger;
    bool after_unknown = false;
    // Without tokens across a word boundary the words merge independently, in small heaps.
    size_t begin = 0;
    while (begin < all.size()) {
        size_t end = all.size();
        if (!words_span_spaces_) {
            const size_t word = all.find_first_not_of(' ', begin);
            end = word == all.npos ? all.size() : std::min(all.find(' ', word), all.size());
        }
        RZ_TRY(encode_word(all, begin, end, merger, after_unknown, out));
        begin = end;
    }
    return {};
}

Status SpmTokenizer::encode_word(std::string_view text, size_t begin, size_t end, BpeMerger &merger,
                                 bool &after_unknown, std::vector<Token> &out) const {
    merger.clear();
    for (size_t i = begin; i < end;) {
        const Utf8Unit unit = next_utf8(text.substr(i, end - i));
        const size_t length = unit.kind == Utf8Kind::whole ? unit.length : 1;
        merger.add(static_cast<uint32_t>(i), static_cast<uint32_t>(length), -1);
        i += length;
    }
    merger.run([&](const BpeSymbol &left, const BpeSymbol &right) {
        const auto found = words_.find(text.substr(left.begin, left.length + right.length));
        return found == words_.end() ? BpeMerge{} : found->second;
    });
    Status status;
    merger.visit([&](const BpeSymbol &symbol) {
        if (!status.ok()) return;
        if (symbol.id >= 0) {
            out.push_back(symbol.id);
            after_unknown = false;
        } else {
            status = append_symbol(text.substr(symbol.begin, symbol.length), after_unknown, out);
        }
    });
    return status;
}

// A character that merged with nothing: its token, its bytes, or one unknown token for a run.
Status SpmTokenizer::append_symbol(std::string_view symbol, bool &after_unknown,
                                   std::vector<Token> &out) const {
    if (const auto found = words_.find(symbol); found != words_.end()) {
        out.push_back(found->second.id);
        after_unknown = false;
        return {};
    }
    const size_t before = out.size();
    for (const char c : symbol) {
        const Token token = bytes_[static_cast<uint8_t>(c)];
        if (token < 0) break;
        out.push_back(token);
    }
    if (out.size() - before == symbol.size()) {
        after_unknown = false;
        return {};
    }
    out.resize(before);
    if (!vocabulary_.unk)
        return make_error(Code::invalid_argument, "unencodable_text",
                          "text: expected characters of the vocabulary, which has neither byte "
                          "tokens nor an unknown token, found '%s'",
                          printable(symbol).c_str());
    if (!after_unknown) out.push_back(*vocabulary_.unk);
    after_unknown = true;
    return {};
}

} // namespace

Result<std::shared_ptr<const Tokenizer>> create_spm(Vocabulary vocabulary) {
    std::vector<std::string> pieces = unmarked_pieces(vocabulary);
    return std::shared_ptr<const Tokenizer>(
        std::make_shared<SpmTokenizer>(std::move(vocabulary), std::move(pieces)));
}

} // namespace realizar
