// SentencePiece writes a space inside a token as U+2581. The kinds that follow it turn both the token
// texts and the input back once, so that they work on the text itself.
#pragma once

#include "core/tokenizer/kinds.h"

#include <string>
#include <string_view>
#include <vector>

namespace realizar {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81"; // U+2581

inline std::string spaces_unmarked(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    size_t begin = 0;
    for (size_t mark; (mark = text.find(kSpaceMark, begin)) != text.npos;
         begin = mark + kSpaceMark.size())
        out.append(text, begin, mark - begin).push_back(' ');
    return out.append(text, begin);
}

// What each token stands for; the types have one entry per token.
inline std::vector<std::string> unmarked_pieces(const Vocabulary &vocabulary) {
    std::vector<std::string> pieces;
    pieces.reserve(vocabulary.tokens.size());
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
        const std::string &text = vocabulary.tokens[i];
        switch (vocabulary.types[i]) {
        case TokenType::control:
        case TokenType::unknown: pieces.push_back(text); break;
        case TokenType::byte:
            pieces.emplace_back(1, static_cast<char>(byte_of_token(text).value_or(0)));
            break;
        default: pieces.push_back(spaces_unmarked(text)); break;
        }
    }
    return pieces;
}

} // namespace realizar
