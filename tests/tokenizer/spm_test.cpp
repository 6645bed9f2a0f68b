// SentencePiece BPE against its definition: of all neighbours whose joined text is a token the best
// score merges first, the leftmost of equals, until none is left.
#include "tests/tokenizer/vocabularies.h"

#include <algorithm>
#include <limits>
#include <map>

using namespace realizar;
using test::encode;
using test::make_tokenizer;

namespace {

constexpr EncodeOptions kPlain{.add_special = false};

// Quadratic and on strings; for texts of ASCII only. Bytes without a token give <0xHH>, 3 + byte.
std::vector<Token> naive_encode(const Vocabulary &vocabulary, std::string text,
                                bool last_of_equals) {
    if (text.empty()) return {};
    text.insert(0, " ");
    std::map<std::string, Token> ids;
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i)
        if (vocabulary.types[i] == TokenType::normal) {
            std::string piece = vocabulary.tokens[i];
            for (size_t at; (at = piece.find("\xE2\x96\x81")) != piece.npos;)
                piece.replace(at, 3, " ");
            ids.try_emplace(piece, static_cast<Token>(i));
        }
    std::vector<std::string> parts;
    for (const char c : text)
        parts.emplace_back(1, c);
    while (true) {
        size_t best = parts.size();
        float best_score = -std::numeric_limits<float>::infinity();
        for (size_t i = 0; i + 1 < parts.size(); ++i) {
            const auto found = ids.find(parts[i] + parts[i + 1]);
            if (found == ids.end()) continue;
            const float score = vocabulary.scores[static_cast<size_t>(found->second)];
            if (score > best_score || (last_of_equals && score == best_score)) {
                best = i;
                best_score = score;
            }
        }
        if (best == parts.size()) break;
        parts[best] += parts[best + 1];
        parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    std::vector<Token> out;
    for (const std::string &part : parts) {
        if (const auto found = ids.find(part); found != ids.end())
            out.push_back(found->second);
        else
            out.push_back(3 + static_cast<uint8_t>(part[0]));
    }
    return out;
}

// Tokens of the letters a to c and spaces, many with equal scores.
Vocabulary random_vocabulary(std::mt19937_64 &random, bool across_words) {
    std::vector<std::string> pieces;
    for (int i = 0; i < 60; ++i) {
        std::string piece;
        for (uint64_t n = random() % 3; n > 0; --n)
            piece += "\xE2\x96\x81";
        for (uint64_t n = 1 + random() % 4; n > 0; --n) {
            if (across_words && random() % 5 == 0) piece += "\xE2\x96\x81";
            piece += static_cast<char>('a' + random() % 3);
        }
        pieces.push_back(piece);
    }
    pieces.push_back("\xE2\x96\x81");
    Vocabulary vocabulary = test::spm_vocabulary(pieces);
    for (float &score : vocabulary.scores)
        score = static_cast<float>(random() % 7);
    return vocabulary;
}

TEST(Spm, EqualsTheDefinition) {
    std::mt19937_64 random(11);
    size_t control_differs = 0;
    for (int round = 0; round < 60; ++round) {
        const Vocabulary vocabulary = random_vocabulary(random, round % 2 == 0);
        const auto tokenizer = make_tokenizer(vocabulary);
        ASSERT_TRUE(tokenizer);
        for (int i = 0; i < 20; ++i) {
            std::string text;
            for (uint64_t n = random() % 40; n > 0; --n)
                text += "abcd "[random() % 5];
            const auto tokens = encode(*tokenizer, text, kPlain);
            EXPECT_EQ(tokens, naive_encode(vocabulary, text, false)) << text;
            EXPECT_EQ(tokenizer->decode(tokens), text);
            control_differs += tokens != naive_encode(vocabulary, text, true);
        }
    }
    EXPECT_GT(control_differs, 0u); // the wrong rule for equal scores is seen
}

TEST(Spm, RandomBytesComeBack) {
    std::mt19937_64 random(12);
    const auto tokenizer = make_tokenizer(random_vocabulary(random, false));
    for (int i = 0; i < 300; ++i) {
        const std::string text = test::random_text(random, random() % 30, true);
        EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text) << printable(text);
    }
    std::string every;
    for (int byte = 0; byte < 256; ++byte)
        every += static_cast<char>(byte);
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, every)), every);
    const std::string nul("a\0b\0", 4);
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, nul)), nul);
}

TEST(Spm, SpecialTokens) {
    Vocabulary vocabulary = test::spm_vocabulary({"\xE2\x96\x81", "a",
                                                  "\xE2\x96\x81"
                                                  "a"});
    const Token user = test::add_token(vocabulary, "<u>", TokenType::user_defined);
    const Token control = test::add_token(vocabulary, "<|c|>", TokenType::control);
    vocabulary.eot = control;
    vocabulary.add_eos = true;
    const auto tokenizer = make_tokenizer(vocabulary);
    constexpr Token kA = 260, kSpaceA = 261;
    EXPECT_EQ(encode(*tokenizer, ""), (std::vector<Token>{1, 2}));
    EXPECT_EQ(encode(*tokenizer, "a"), (std::vector<Token>{1, kSpaceA, 2}));
    EXPECT_EQ(encode(*tokenizer, "aa<|c|>a<u>a", kPlain),
              (std::vector<Token>{kSpaceA, kA, control, kSpaceA, user, kSpaceA}));
    // Text from outside must not make control tokens, but user-defined ones are part of the text.
    const auto untrusted =
        encode(*tokenizer, "<s><|c|><u></s>", {.add_special = false, .parse_special = false});
    EXPECT_EQ(std::ranges::count(untrusted, user), 1);
    for (const Token token : untrusted)
        EXPECT_TRUE(token != control && token > 2) << token;
    EXPECT_EQ(tokenizer->decode(untrusted), "<s><|c|><u></s>");

    const std::vector<Token> mixed{1, kSpaceA, control, kSpaceA, user, kSpaceA, 2};
    EXPECT_EQ(tokenizer->decode(mixed), "a a<u>a");
    EXPECT_EQ(tokenizer->decode(mixed, true), "<s>a<|c|>a<u>a</s>");
    EXPECT_EQ(tokenizer->piece(control), "");
    EXPECT_EQ(tokenizer->piece(control, true), "<|c|>");
    EXPECT_EQ(tokenizer->piece(-1), "");
    EXPECT_EQ(tokenizer->piece(100000), "");
    EXPECT_TRUE(tokenizer->is_end(2));
    EXPECT_TRUE(tokenizer->is_end(control));
    EXPECT_FALSE(tokenizer->is_end(kA));
    EXPECT_FALSE(tokenizer->is_end(-1));
}

TEST(Spm, NoSpacePrefix) {
    Vocabulary vocabulary = test::spm_vocabulary({"\xE2\x96\x81", "a",
                                                  "\xE2\x96\x81"
                                                  "a"});
    vocabulary.add_space_prefix = false;
    const auto tokenizer = make_tokenizer(vocabulary);
    EXPECT_EQ(encode(*tokenizer, "a a", kPlain), (std::vector<Token>{260, 261}));
    EXPECT_EQ(tokenizer->decode(std::vector<Token>{261, 260}), " aa");
}

// Without byte tokens a run of foreign characters is one unknown token; without that, an error.
TEST(Spm, WithoutByteTokens) {
    Vocabulary vocabulary;
    vocabulary.model = "llama";
    vocabulary.unk = test::add_token(vocabulary, "<unk>", TokenType::unknown);
    test::add_token(vocabulary, "\xE2\x96\x81", TokenType::normal);
    test::add_token(vocabulary, "a", TokenType::normal);
    EXPECT_EQ(encode(*make_tokenizer(vocabulary), "ax\xC3\xA9\xFFza", kPlain),
              (std::vector<Token>{1, 2, 0, 2}));
    vocabulary.unk.reset();
    vocabulary.types[0] = TokenType::unused;
    const auto tokenizer = make_tokenizer(vocabulary);
    EXPECT_TRUE(tokenizer->encode("a a").ok());
    const auto failed = tokenizer->encode("ab");
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().tag, "unencodable_text");
}

TEST(Spm, TypesFromTexts) {
    Vocabulary vocabulary = test::spm_vocabulary({"\xE2\x96\x81", "a"});
    const auto typed = make_tokenizer(vocabulary);
    vocabulary.types.clear();
    const auto untyped = make_tokenizer(vocabulary);
    EXPECT_EQ(encode(*untyped, "<s>a\n"), encode(*typed, "<s>a\n"));
}

// A quadratic algorithm would take minutes here; the test's timeout is the judge.
TEST(Spm, LongTexts) {
    std::mt19937_64 random(13);
    for (const bool across : {false, true}) {
        const auto tokenizer = make_tokenizer(random_vocabulary(random, across));
        for (const char *unit : {"a", "ab", " ", "a ", "\xFF", "\xE4\xB8\x80"}) {
            std::string text;
            while (text.size() < (1u << 20))
                text += unit;
            EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text) << printable(unit);
        }
    }
}

} // namespace
