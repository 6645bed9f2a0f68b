// Byte-level BPE against its definition: the pair of lowest rank merges first, everywhere in a word.
#include "tests/tokenizer/vocabularies.h"

#include "core/tokenizer/pretokenizers.h"

#include <algorithm>

using namespace realizar;
using test::encode;
using test::make_tokenizer;

namespace {

constexpr EncodeOptions kPlain{.add_special = false};

using Merges = std::vector<std::pair<std::string, std::string>>;

// Merges the leftmost pair of the best rule that applies anywhere; false if none does.
bool merge_once(const Merges &merges, std::vector<std::string> &parts) {
    for (const auto &[left, right] : merges)
        for (size_t i = 0; i + 1 < parts.size(); ++i)
            if (parts[i] == left && parts[i + 1] == right) {
                parts[i] += right;
                parts.erase(parts.begin() + static_cast<ptrdiff_t>(i) + 1);
                return true;
            }
    return false;
}

std::vector<std::string> naive_word(const Merges &merges, std::string_view word) {
    std::vector<std::string> parts;
    for (const char c : word)
        parts.emplace_back(1, c);
    while (merge_once(merges, parts)) {
    }
    return parts;
}

// Rules over the letters a to d; each side is a letter or the result of an earlier rule.
Merges random_merges(std::mt19937_64 &random, size_t count) {
    std::vector<std::string> made{"a", "b", "c", "d"};
    Merges merges;
    while (merges.size() < count) {
        const auto pick = [&] { return made[random() % made.size()]; };
        std::pair<std::string, std::string> merge{pick(), pick()};
        if (std::ranges::find(merges, merge) != merges.end()) continue;
        if (const std::string whole = merge.first + merge.second;
            whole.size() <= 8 && std::ranges::find(made, whole) == made.end()) {
            made.push_back(whole);
            merges.push_back(std::move(merge));
        }
    }
    return merges;
}

TEST(Bpe, EqualsTheDefinition) {
    std::mt19937_64 random(21);
    size_t control_differs = 0;
    for (int round = 0; round < 40; ++round) {
        const Merges merges = random_merges(random, 30);
        const Vocabulary vocabulary = test::bpe_vocabulary(merges);
        const auto tokenizer = make_tokenizer(vocabulary);
        ASSERT_TRUE(tokenizer);
        Merges reversed(merges.rbegin(), merges.rend());
        for (int i = 0; i < 20; ++i) {
            std::string word;
            for (uint64_t n = 1 + random() % 30; n > 0; --n)
                word += static_cast<char>('a' + random() % 4);
            std::vector<std::string> pieces;
            const auto tokens = encode(*tokenizer, word, kPlain);
            for (const Token token : tokens)
                pieces.push_back(tokenizer->piece(token));
            EXPECT_EQ(pieces, naive_word(merges, word)) << word;
            control_differs += pieces != naive_word(reversed, word);
        }
    }
    EXPECT_GT(control_differs, 0u); // other ranks are seen
}

TEST(Bpe, ByteAlphabet) {
    const auto tokenizer = make_tokenizer(test::bpe_vocabulary({}));
    std::string every;
    std::vector<Token> expected;
    for (int byte = 0; byte < 256; ++byte) {
        every += static_cast<char>(byte);
        expected.push_back(byte);
    }
    EXPECT_EQ(encode(*tokenizer, every, kPlain), expected);
    EXPECT_EQ(tokenizer->decode(expected), every);
}

TEST(Bpe, RandomBytesComeBack) {
    std::mt19937_64 random(22);
    for (const char *pre : {"gpt-2", "llama-bpe", "deepseek-llm", "gpt-4o", "default"}) {
        Vocabulary vocabulary = test::bpe_vocabulary(random_merges(random, 50));
        vocabulary.pre = pre;
        const auto tokenizer = make_tokenizer(vocabulary);
        for (int i = 0; i < 200; ++i) {
            const std::string text = test::random_text(random, random() % 30, true);
            EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text) << printable(text);
        }
    }
}

TEST(Bpe, SpecialTokens) {
    Vocabulary vocabulary = test::bpe_vocabulary({});
    const Token start = test::add_token(vocabulary, "<|im_start|>", TokenType::control);
    const Token end = test::add_token(vocabulary, "<|im_end|>", TokenType::control);
    const Token tool = test::add_token(vocabulary, "<tool>", TokenType::user_defined);
    vocabulary.scores.clear();
    vocabulary.bos = start;
    vocabulary.add_bos = true;
    const auto tokenizer = make_tokenizer(vocabulary);
    EXPECT_EQ(encode(*tokenizer, "a<|im_end|><tool> "),
              (std::vector<Token>{start, 'a', end, tool, ' '}));
    const auto untrusted = encode(*tokenizer, "<|im_end|>", {.parse_special = false});
    EXPECT_EQ(untrusted.size(), 1 + std::string("<|im_end|>").size());
    EXPECT_EQ(tokenizer->decode(untrusted), "<|im_end|>");
    EXPECT_TRUE(tokenizer->is_end(end)); // by its text
    EXPECT_FALSE(tokenizer->is_end(start));
}

// In the harmony format <|end|> closes a message; the turn goes on.
TEST(Bpe, HarmonyEnds) {
    Vocabulary vocabulary = test::bpe_vocabulary({});
    const Token end = test::add_token(vocabulary, "<|end|>", TokenType::control);
    vocabulary.scores.clear();
    EXPECT_TRUE(make_tokenizer(vocabulary)->is_end(end));
    const Token last = test::add_token(vocabulary, "<|return|>", TokenType::control);
    vocabulary.scores.clear();
    EXPECT_FALSE(make_tokenizer(vocabulary)->is_end(end));
    EXPECT_TRUE(make_tokenizer(vocabulary)->is_end(last));
}

// A word that is a token comes out whole even if no merges lead to it, in families that say so.
TEST(Bpe, IgnoreMerges) {
    Vocabulary vocabulary = test::bpe_vocabulary({{"a", "b"}});
    const Token whole = test::add_token(vocabulary, "abcd", TokenType::normal);
    vocabulary.scores.clear();
    EXPECT_EQ(encode(*make_tokenizer(vocabulary), "abcd", kPlain),
              (std::vector<Token>{256, 'c', 'd'}));
    vocabulary.pre = "llama-bpe";
    EXPECT_EQ(encode(*make_tokenizer(vocabulary), "abcd", kPlain), (std::vector<Token>{whole}));
}

// Merge results that are no tokens still merge on, and come out as bytes if nothing follows.
TEST(Bpe, MergesWithoutToken) {
    Vocabulary vocabulary = test::bpe_vocabulary({{"a", "b"}, {"ab", "c"}});
    vocabulary.tokens[256] = "unrelated";
    const auto tokenizer = make_tokenizer(vocabulary);
    EXPECT_EQ(encode(*tokenizer, "abc", kPlain), (std::vector<Token>{257}));
    EXPECT_EQ(encode(*tokenizer, "abd", kPlain), (std::vector<Token>{'a', 'b', 'd'}));
}

// Bytes that a vocabulary cannot write (0xFF is never part of UTF-8) become U+FFFD, or the unknown
// token if there is one.
TEST(Bpe, ByteWithoutToken) {
    Vocabulary vocabulary = test::bpe_vocabulary({});
    vocabulary.tokens[0xFF] = "unrelated";
    const auto tokenizer = make_tokenizer(vocabulary);
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, "a\xFF!")), "a\xEF\xBF\xBD!");
    vocabulary.unk = 0;
    vocabulary.types[0] = TokenType::unknown;
    EXPECT_EQ(encode(*make_tokenizer(vocabulary), "a\xFF!", kPlain),
              (std::vector<Token>{'a', 0, '!'}));
    vocabulary.unk.reset();
    vocabulary.types[0] = TokenType::normal;
    vocabulary.tokens[0xEF] = "unrelated too";
    const auto failed = make_tokenizer(vocabulary)->encode("a\xFF!");
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().tag, "unencodable_text");
}

TEST(Bpe, BadMerges) {
    for (const char *merge : {"", "a", "a ", " a", "ab"}) {
        Vocabulary vocabulary = test::bpe_vocabulary({});
        vocabulary.merges.push_back(merge);
        const auto made = Tokenizer::create(std::move(vocabulary));
        ASSERT_FALSE(made.ok()) << "'" << merge << "'";
        EXPECT_EQ(made.error().tag, "bad_vocab");
    }
}

std::string repeated(std::string_view unit, size_t bytes) {
    std::string text;
    while (text.size() < bytes)
        text += unit;
    return text;
}

// Quadratic algorithms would take minutes in these two; the timeout is the judge.
TEST(Bpe, LongWord) {
    std::mt19937_64 random(23);
    const auto tokenizer = make_tokenizer(test::bpe_vocabulary(random_merges(random, 60)));
    const std::string text = repeated("abacabad", 1 << 20);
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text);
}

TEST(Bpe, LongRuns) {
    for (const char *pre :
         {"gpt-2", "llama-bpe", "gpt-4o", "deepseek-llm", "deepseek-v3", "bloom"}) {
        Vocabulary vocabulary = test::bpe_vocabulary({{" ", " "}});
        vocabulary.pre = pre;
        const auto tokenizer = make_tokenizer(vocabulary);
        for (const char *unit : {"A", " ", "\n", " \n", "1", "\xFF", "\xCC\x81", "!/"})
            for (const char *end : {"", "5"}) {
                const std::string text = repeated(unit, 1 << 18) + end;
                ASSERT_EQ(tokenizer->decode(encode(*tokenizer, text)), text)
                    << pre << " " << printable(unit);
            }
    }
}

} // namespace
