// Byte-level BPE ("gpt2"; Radford et al. 2019): words from the pre-tokenizer, merges by rank over
// bytes. Files write each byte of a token as one printable character; both tables are turned back
// into bytes at load, so that the merging loop works on the text itself.
#include "core/tokenizer/kinds.h"
#include "core/tokenizer/merge.h"
#include "core/tokenizer/pretokenizers.h"
#include "core/tokenizer/utf8.h"

#include <array>
#include <deque>
#include <unordered_map>

namespace realizar {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD"; // U+FFFD

// The byte that a character of a token's text stands for, -1 if none. Printable Latin-1 characters
// stand for themselves, the other 68 bytes are U+0100 and following, in order.
class ByteAlphabet {
  public:
    ByteAlphabet() {
        bytes_.fill(-1);
        size_t other = 0x100;
        for (int byte = 0; byte < 256; ++byte) {
            const bool printable_byte =
                (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
            bytes_[printable_byte ? static_cast<size_t>(byte) : other++] = byte;
        }
    }

    // Characters outside the alphabet stay as they are.
    std::string to_bytes(std::string_view text) const {
        std::string out;
        for (size_t i = 0; i < text.size();) {
            const Utf8Unit unit = next_utf8(text.substr(i));
            const int byte = byte_of(text.substr(i, unit.length));
            if (byte >= 0)
                out.push_back(static_cast<char>(byte));
            else
                out.append(text, i, unit.length);
            i += unit.length;
        }
        return out;
    }

  private:
    int byte_of(std::string_view character) const {
        const auto at = [&](size_t i) { return static_cast<uint8_t>(character[i]); };
        if (character.size() == 1) return at(0) < 0x80 ? bytes_[at(0)] : -1;
        if (character.size() != 2) return -1;
        const size_t code = (at(0) & 0x1Fu) << 6 | (at(1) & 0x3Fu);
        return code < bytes_.size() ? bytes_[code] : -1;
    }

    std::array<int, 0x100 + 68> bytes_;
};

std::vector<std::string> make_pieces(const Vocabulary &vocabulary, const ByteAlphabet &alphabet) {
    std::vector<std::string> pieces;
    pieces.reserve(vocabulary.tokens.size());
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
        const std::string &text = vocabulary.tokens[i];
        switch (vocabulary.types[i]) {
        case TokenType::control:
        case TokenType::unknown:
        case TokenType::user_defined: pieces.push_back(text); break;
        case TokenType::byte:
            pieces.emplace_back(1, static_cast<char>(byte_of_token(text).value_or(0)));
            break;
        default: pieces.push_back(alphabet.to_bytes(text)); break;
        }
    }
    return pieces;
}

uint64_t pair_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

class BpeTokenizer final : public Tokenizer {
  public:
    BpeTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces, Pretokenizer pretokenizer,
                 bool ignore_merges);
    Status load(const ByteAlphabet &alphabet);

  protected:
    Status encode_text(std::string_view text, bool add_prefix,
                       std::vector<Token> &out) const override;

  private:
    Status encode_word(std::string_view word, BpeMerger &merger, std::vector<Token> &out) const;
    Status append_bytes(std::string_view bytes, std::vector<Token> &out) const;
    bool is_token(int32_t symbol) const { return static_cast<size_t>(symbol) < pieces_.size(); }

    Pretokenizer pretokenizer_;
    bool ignore_merges_;
    // Symbols are token ids, and ids above them for texts that occur in merges only.
    std::unordered_map<uint64_t, BpeMerge> merges_;     // by pair_key
    std::unordered_map<std::string_view, Token> words_; // ignore_merges only; keys lie in pieces_
    std::array<int32_t, 256> bytes_;
    std::vector<Token> replacement_; // of a byte without a token
};

BpeTokenizer::BpeTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces,
                           Pretokenizer pretokenizer, bool ignore_merges)
    : Tokenizer(std::move(vocabulary), std::move(pieces)), pretokenizer_(std::move(pretokenizer)),
      ignore_merges_(ignore_merges) {}

Status BpeTokenizer::load(const ByteAlphabet &alphabet) {
    std::unordered_map<std::string_view, int32_t> symbols;
    symbols.reserve(pieces_.size());
    for (size_t i = 0; i < pieces_.size(); ++i) {
        const TokenType type = vocabulary_.types[i];
        if (type == TokenType::undefined || type == TokenType::normal || type == TokenType::byte)
            symbols.try_emplace(pieces_[i], static_cast<int32_t>(i));
    }
    if (ignore_merges_) words_ = symbols;
    std::deque<std::string> others;
    auto next_symbol = static_cast<int32_t>(pieces_.size());
    const auto intern = [&](std::string text) {
        if (const auto found = symbols.find(text); found != symbols.end()) return found->second;
        others.push_back(std::move(text));
        symbols.emplace(others.back(), next_symbol);
        return next_symbol++;
    };
    for (size_t byte = 0; byte < 256; ++byte)
        bytes_[byte] = intern(std::string(1, static_cast<char>(byte)));

    merges_.reserve(vocabulary_.merges.size());
    for (size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
        const std::string &merge = vocabulary_.merges[rank];
        const size_t space = merge.find(' ', 1);
        if (space == merge.npos || space + 1 == merge.size())
            return make_error(Code::malformed, "bad_vocab",
                              "merge %zu: expected two texts with a space between, found '%s'",
                              rank, printable(merge).c_str());
        const std::string left = alphabet.to_bytes(std::string_view(merge).substr(0, space));
        const std::string right = alphabet.to_bytes(std::string_view(merge).substr(space + 1));
        const uint64_t key = pair_key(intern(left), intern(right));
        merges_.try_emplace(key, BpeMerge{static_cast<uint32_t>(rank), intern(left + right)});
    }
    // The merges' texts are needed at load only.
    vocabulary_.merges.clear();
    vocabulary_.merges.shrink_to_fit();

    if (vocabulary_.unk) {
        replacement_ = {*vocabulary_.unk};
    } else {
        BpeMerger merger;
        std::vector<Token> tokens;
        if (encode_word(kReplacement, merger, tokens).ok()) replacement_ = std::move(tokens);
    }
    return {};
}

Status BpeTokenizer::encode_text(std::string_view text, bool, std::vector<Token> &out) const {
    RZ_ASSIGN(const auto words, pretokenizer_.split(text));
    BpeMerger merger;
    for (const std::string_view word : words)
        RZ_TRY(encode_word(word, merger, out));
    return {};
}

Status BpeTokenizer::encode_word(std::string_view word, BpeMerger &merger,
                                 std::vector<Token> &out) const {
    if (ignore_merges_) {
        if (const auto found = words_.find(word); found != words_.end()) {
            out.push_back(found->second);
            return {};
        }
    }
    merger.clear();
    for (size_t i = 0; i < word.size(); ++i)
        merger.add(static_cast<uint32_t>(i), 1, bytes_[static_cast<uint8_t>(word[i])]);
    merger.run([&](const BpeSymbol &left, const BpeSymbol &right) {
        const auto found = merges_.find(pair_key(left.id, right.id));
        return found == merges_.end() ? BpeMerge{} : found->second;
    });
    Status status;
    merger.visit([&](const BpeSymbol &symbol) {
        if (!status.ok()) return;
        if (is_token(symbol.id))
            out.push_back(symbol.id);
        else
            status = append_bytes(word.substr(symbol.begin, symbol.length), out);
    });
    return status;
}

// A symbol that is no token: its bytes one by one.
Status BpeTokenizer::append_bytes(std::string_view bytes, std::vector<Token> &out) const {
    for (const char c : bytes) {
        const auto byte = static_cast<uint8_t>(c);
        if (is_token(bytes_[byte])) {
            out.push_back(bytes_[byte]);
        } else if (!replacement_.empty()) {
            out.insert(out.end(), replacement_.begin(), replacement_.end());
        } else {
            return make_error(Code::invalid_argument, "unencodable_text",
                              "text: expected bytes of the vocabulary, which has no unknown token, "
                              "found 0x%02X",
                              byte);
        }
    }
    return {};
}

} // namespace

Result<std::shared_ptr<const Tokenizer>> create_bpe(Vocabulary vocabulary) {
    RZ_ASSIGN(const PretokenizerRow *row, find_pretokenizer(vocabulary.pre));
    RZ_ASSIGN(Pretokenizer pretokenizer, Pretokenizer::create(*row));
    const ByteAlphabet alphabet;
    std::vector<std::string> pieces = make_pieces(vocabulary, alphabet);
    auto made = std::make_shared<BpeTokenizer>(std::move(vocabulary), std::move(pieces),
                                               std::move(pretokenizer), row->ignore_merges);
    RZ_TRY(made->load(alphabet));
    return std::shared_ptr<const Tokenizer>(std::move(made));
}

} // namespace realizar
