// Small vocabularies for tests: every byte can be written, and some merges exist.
#pragma once

#include "core/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace realizar::test {

inline Token add_token(Vocabulary &vocabulary, std::string text, TokenType type, float score = 0) {
    vocabulary.tokens.push_back(std::move(text));
    vocabulary.types.push_back(type);
    vocabulary.scores.push_back(score);
    return static_cast<Token>(vocabulary.tokens.size()) - 1;
}

// <unk> 0, <s> 1, </s> 2, the 256 bytes from 3, then these pieces with falling scores.
inline Vocabulary spm_vocabulary(const std::vector<std::string> &pieces) {
    Vocabulary vocabulary;
    vocabulary.model = "llama";
    vocabulary.unk = add_token(vocabulary, "<unk>", TokenType::unknown);
    vocabulary.bos = add_token(vocabulary, "<s>", TokenType::control);
    vocabulary.eos = add_token(vocabulary, "</s>", TokenType::control);
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        std::snprintf(text, sizeof text, "<0x%02X>", byte);
        add_token(vocabulary, text, TokenType::byte);
    }
    for (size_t i = 0; i < pieces.size(); ++i)
        add_token(vocabulary, pieces[i], TokenType::normal, -static_cast<float>(i));
    vocabulary.add_bos = true;
    return vocabulary;
}

// A code point of at most two bytes as UTF-8.
inline std::string utf8_of(unsigned code) {
    if (code < 0x80) return std::string(1, static_cast<char>(code));
    return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// The byte alphabet of byte-level BPE, written out from its definition: the printable bytes of
// Latin-1 are themselves, the others follow from U+0100.
inline std::string written_byte(unsigned byte) {
    const auto is_printable = [](unsigned b) {
        return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
    };
    if (is_printable(byte)) return utf8_of(byte);
    unsigned others = 0;
    for (unsigned b = 0; b < byte; ++b)
        others += !is_printable(b);
    return utf8_of(0x100 + others);
}

inline std::string written_bytes(std::string_view text) {
    std::string out;
    for (const char c : text)
        out += written_byte(static_cast<uint8_t>(c));
    return out;
}

// The 256 bytes as tokens 0 to 255 (token = byte), then the results of the merges, given as bytes.
inline Vocabulary bpe_vocabulary(const std::vector<std::pair<std::string, std::string>> &merges) {
    Vocabulary vocabulary;
    vocabulary.model = "gpt2";
    vocabulary.pre = "gpt-2";
    for (unsigned byte = 0; byte < 256; ++byte)
        add_token(vocabulary, written_byte(byte), TokenType::normal);
    for (const auto &[left, right] : merges) {
        vocabulary.merges.push_back(written_bytes(left) + " " + written_bytes(right));
        add_token(vocabulary, written_bytes(left + right), TokenType::normal);
    }
    vocabulary.scores.clear();
    return vocabulary;
}

inline std::shared_ptr<const Tokenizer> make_tokenizer(Vocabulary vocabulary) {
    auto made = Tokenizer::create(std::move(vocabulary));
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? *made : nullptr;
}

inline std::vector<Token> encode(const Tokenizer &tokenizer, std::string_view text,
                                 const EncodeOptions &options = {}) {
    const auto tokens = tokenizer.encode(text, options);
    EXPECT_TRUE(tokens.ok()) << tokens.error().message;
    return tokens.ok() ? *tokens : std::vector<Token>{};
}

// Random text: mostly words, with spaces, punctuation, digits and characters of all planes, and
// with `broken` also bytes that are not UTF-8.
inline std::string random_text(std::mt19937_64 &random, size_t units, bool broken) {
    std::string out;
    const auto below = [&](uint64_t n) { return random() % n; };
    const auto put = [&](uint32_t code) {
        if (code < 0x800) {
            out += utf8_of(code);
        } else if (code < 0x10000) {
            out += static_cast<char>(0xE0 | code >> 12);
            out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
            out += static_cast<char>(0x80 | (code & 0x3F));
        } else {
            out += static_cast<char>(0xF0 | code >> 18);
            out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
            out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
            out += static_cast<char>(0x80 | (code & 0x3F));
        }
    };
    for (size_t i = 0; i < units; ++i) {
        switch (below(broken ? 8 : 7)) {
        case 0: out.append(1 + below(4), ' '); break;
        case 1: out.append(1 + below(3), "\n\t\r"[below(3)]); break;
        case 2: out += static_cast<char>(below(0x80)); break; // control bytes and NUL too
        case 3: put(static_cast<uint32_t>(0x80 + below(0x700))); break;
        case 4: {
            auto code = static_cast<uint32_t>(below(0x110000));
            if (code >= 0xD800 && code < 0xE000) code = 0x4E00;
            if (code == 0x2581) code = ' '; // a space to SentencePiece
            put(code);
            break;
        }
        case 7: out += static_cast<char>(0x80 + below(0x80)); break;
        default:
            for (uint64_t letters = 1 + below(9); letters > 0; --letters)
                out += static_cast<char>('a' + below(26));
        }
    }
    return out;
}

} // namespace realizar::test
