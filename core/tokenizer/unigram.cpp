// SentencePiece unigram ("t5"; Kudo 2018): of all ways to write the text as tokens, the one with the
// highest sum of scores.
#include "core/tokenizer/charsmap.h"
#include "core/tokenizer/kinds.h"
#include "core/tokenizer/space_mark.h"
#include "core/tokenizer/utf8.h"

#include <algorithm>
#include <array>
#include <limits>

namespace realizar {
namespace {

// What an unknown character costs beyond the least likely token, as in SentencePiece.
constexpr double kUnknownPenalty = 10;
// Longer tokens are never chosen; it bounds the time per character. Published ones have at most 16
// characters, by SentencePiece's default.
constexpr size_t kMaxPieceBytes = 1024;

class UnigramTokenizer final : public Tokenizer {
  public:
    UnigramTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces, Charsmap charsmap);

  protected:
    Status encode_text(std::string_view text, bool add_prefix,
                       std::vector<Token> &out) const override;

  private:
    // The best way to the end of a part of the text: its last step.
    struct Step {
        double score = -std::numeric_limits<double>::infinity();
        uint32_t begin = 0;
        Token token = -1; // -1: an unknown character
    };

    std::string normalized(std::string_view text, bool add_prefix) const;
    template <class Each>
    void each_token_at(std::string_view text, const Each &each) const;
    std::vector<Step> best_steps(std::string_view text) const;
    Status append_unknown(std::string_view character, bool after_unknown,
                          std::vector<Token> &out) const;

    Charsmap charsmap_;
    struct Entry {
        std::string_view text; // lies in pieces_
        Token token;
        float score;
    };
    std::vector<Entry> sorted_; // by text, each text once
    std::array<Token, 256> bytes_;
    bool has_all_bytes_ = false;
    double unknown_score_ = 0;
};

UnigramTokenizer::UnigramTokenizer(Vocabulary vocabulary, std::vector<std::string> pieces,
                                   Charsmap charsmap)
    : Tokenizer(std::move(vocabulary), std::move(pieces)), charsmap_(std::move(charsmap)) {
    bytes_.fill(-1);
    float least = 0;
    bool any = false;
    for (size_t i = 0; i < pieces_.size(); ++i) {
        const auto id = static_cast<Token>(i);
        switch (vocabulary_.types[i]) {
        case TokenType::byte: {
            Token &slot = bytes_[static_cast<uint8_t>(pieces_[i][0])];
            if (slot < 0) slot = id;
            break;
        }
        case TokenType::undefined:
        case TokenType::normal:
            least = any ? std::min(least, vocabulary_.scores[i]) : vocabulary_.scores[i];
            any = true;
            if (!pieces_[i].empty() && pieces_[i].size() <= kMaxPieceBytes)
                sorted_.push_back({pieces_[i], id, vocabulary_.scores[i]});
            break;
        default: break; // atomic tokens are split off before, unused ones never come out
        }
    }
    unknown_score_ = least - kUnknownPenalty;
    has_all_bytes_ = std::ranges::find(bytes_, -1) == bytes_.end();
    std::ranges::stable_sort(sorted_, {}, &Entry::text);
    const auto twins = std::ranges::unique(sorted_, {}, &Entry::text);
    sorted_.erase(twins.begin(), twins.end());
}

// The text after the table of the model, with spaces as the model wants them.
std::string UnigramTokenizer::normalized(std::string_view text, bool add_prefix) const {
    const bool merge = vocabulary_.remove_extra_spaces;
    std::string out = add_prefix && vocabulary_.add_space_prefix ? " " : "";
    const size_t prefix = out.size();
    const auto put = [&](std::string_view part) {
        for (size_t at = 0; at < part.size();) {
            const bool mark = part.substr(at).starts_with(kSpaceMark);
            const char c = mark ? ' ' : part[at];
            at += mark ? kSpaceMark.size() : 1;
            if (merge && c == ' ' && (out.empty() || out.back() == ' ')) continue;
            out.push_back(c);
        }
    };
    while (!text.empty()) {
        size_t length = 0;
        if (const auto match = charsmap_.longest_prefix(text)) {
            put(match->replacement);
            length = match->length;
        } else {
            const Utf8Unit unit = next_utf8(text);
            length = unit.length;
            if (unit.kind == Utf8Kind::whole || has_all_bytes_)
                put(text.substr(0, length));
            else
                put("\xEF\xBF\xBD"); // U+FFFD
        }
        text.remove_prefix(length);
    }
    if (merge && out.ends_with(' ')) out.pop_back();
    if (out.size() <= prefix && merge) out.clear();
    return out;
}

// Calls each(length, entry) for the tokens that the text begins with, shortest first.
template <class Each>
void UnigramTokenizer::each_token_at(std::string_view text, const Each &each) const {
    auto low = sorted_.begin(), high = sorted_.end();
    for (size_t depth = 0; depth < text.size() && low != high; ++depth) {
        // Of the entries that agree in `depth` bytes, those with the next byte; the entry that ends
        // here comes first and was visited.
        const auto byte_at = [depth](const Entry &entry) {
            return entry.text.size() > depth ? static_cast<uint8_t>(entry.text[depth]) : -1;
        };
        const int byte = static_cast<uint8_t>(text[depth]);
        low = std::ranges::lower_bound(low, high, byte, {}, byte_at);
        high = std::ranges::upper_bound(low, high, byte, {}, byte_at);
        if (low != high && low->text.size() == depth + 1) each(depth + 1, *low);
    }
}

std::vector<UnigramTokenizer::Step> UnigramTokenizer::best_steps(std::string_view text) const {
    std::vector<Step> steps(text.size() + 1);
    steps[0].score = 0;
    for (size_t begin = 0; begin < text.size();) {
        const Utf8Unit unit = next_utf8(text.substr(begin));
        const size_t character = unit.kind == Utf8Kind::whole ? unit.length : 1;
        const double before = steps[begin].score;
        bool known = false;
        const auto offer = [&](size_t length, double score, Token token) {
            Step &step = steps[begin + length];
            if (before + score > step.score)
                step = {before + score, static_cast<uint32_t>(begin), token};
        };
        each_token_at(text.substr(begin), [&](size_t length, const Entry &entry) {
            known = known || length == character;
            offer(length, entry.score, entry.token);
        });
        if (!known) offer(character, unknown_score_, -1);
        begin += character;
    }
    return steps;
}

Status UnigramTokenizer::append_unknown(std::string_view character, bool after_unknown,
                                        std::vector<Token> &out) const {
    if (has_all_bytes_) {
        for (const char c : character)
            out.push_back(bytes_[static_cast<uint8_t>(c)]);
        return {};
    }
    if (!vocabulary_.unk)
        return make_error(Code::invalid_argument, "unencodable_text",
                          "text: expected characters of the vocabulary, which has neither byte "
                          "tokens nor an unknown token, found '%s'",
                          printable(character).c_str());
    if (!after_unknown) out.push_back(*vocabulary_.unk); // one for a run
    return {};
}

Status UnigramTokenizer::encode_text(std::string_view text, bool add_prefix,
                                     std::vector<Token> &out) const {
    const std::string all = normalized(text, add_prefix);
    const std::vector<Step> steps = best_steps(all);
    std::vector<uint32_t> ends;
    for (auto end = static_cast<uint32_t>(all.size()); end > 0; end = steps[end].begin)
        ends.push_back(end);
    bool after_unknown = false;
    for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
        const Step &step = steps[*end];
        if (step.token >= 0) {
            out.push_back(step.token);
        } else {
            const auto character = std::string_view(all).substr(step.begin, *end - step.begin);
            RZ_TRY(append_unknown(character, after_unknown, out));
        }
        after_unknown = step.token < 0;
    }
    return {};
}

} // namespace

Result<std::shared_ptr<const Tokenizer>> create_unigram(Vocabulary vocabulary) {
    RZ_ASSIGN(Charsmap charsmap, Charsmap::create(std::as_bytes(std::span(vocabulary.charsmap))));
    vocabulary.charsmap = {};
    std::vector<std::string> pieces = unmarked_pieces(vocabulary);
    return std::shared_ptr<const Tokenizer>(std::make_shared<UnigramTokenizer>(
        std::move(vocabulary), std::move(pieces), std::move(charsmap)));
}

} // namespace realizar
