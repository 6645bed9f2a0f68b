// Unigram against its definition (the best of all segmentations), and the normalisation before it.
#include "core/tokenizer/charsmap.h"
#include "tests/tokenizer/vocabularies.h"

#include <algorithm>
#include <array>
#include <cstring>

using namespace realizar;
using test::add_token;
using test::encode;
using test::make_tokenizer;

namespace {

constexpr EncodeOptions kPlain{.add_special = false};
using Pieces = std::vector<std::pair<std::string, float>>;

Vocabulary unigram_vocabulary(const Pieces &pieces) {
    Vocabulary vocabulary;
    vocabulary.model = "t5";
    vocabulary.pad = add_token(vocabulary, "<pad>", TokenType::control);
    vocabulary.eos = add_token(vocabulary, "</s>", TokenType::control);
    vocabulary.unk = add_token(vocabulary, "<unk>", TokenType::unknown);
    for (const auto &[text, score] : pieces)
        add_token(vocabulary, text, TokenType::normal, score);
    vocabulary.add_eos = vocabulary.remove_extra_spaces = true;
    return vocabulary;
}

// The best sum of scores over all ways to cut the text, by trying every one.
double best_score(const Pieces &pieces, std::string_view text, double unknown) {
    if (text.empty()) return 0;
    double best = -1e30;
    bool has_letter = false;
    for (const auto &[piece, score] : pieces) {
        if (!text.starts_with(piece)) continue;
        has_letter = has_letter || piece.size() == 1;
        best = std::max(best, score + best_score(pieces, text.substr(piece.size()), unknown));
    }
    if (!has_letter) best = std::max(best, unknown + best_score(pieces, text.substr(1), unknown));
    return best;
}

TEST(Unigram, EqualsTheDefinition) {
    std::mt19937_64 random(81);
    size_t control_differs = 0;
    for (int round = 0; round < 60; ++round) {
        Pieces pieces;
        float least = 0;
        for (int i = 0; i < 14; ++i) {
            std::string piece;
            for (uint64_t n = 1 + random() % 4; n > 0; --n)
                piece += static_cast<char>('a' + random() % 3);
            if (std::ranges::find(pieces, piece, &Pieces::value_type::first) != pieces.end())
                continue;
            const auto score = -static_cast<float>(1 + random() % 1000) / 64; // exact sums
            least = std::min(least, score);
            pieces.emplace_back(piece, score);
        }
        Vocabulary vocabulary = unigram_vocabulary(pieces);
        vocabulary.add_space_prefix = false;
        const auto tokenizer = make_tokenizer(vocabulary);
        for (int i = 0; i < 10; ++i) {
            std::string text;
            for (uint64_t n = 1 + random() % 10; n > 0; --n)
                text += static_cast<char>('a' + random() % 4); // "d" is unknown
            double score = 0;
            size_t known = 0, unknown = 0;
            for (const Token token : encode(*tokenizer, text, kPlain)) {
                if (token == *vocabulary.unk) continue;
                score += vocabulary.scores[static_cast<size_t>(token)];
                known += vocabulary.tokens[static_cast<size_t>(token)].size();
            }
            unknown = text.size() - known;
            const double penalty = static_cast<double>(least) - 10;
            EXPECT_EQ(score + static_cast<double>(unknown) * penalty,
                      best_score(pieces, text, penalty))
                << text;
            control_differs += score != best_score(pieces, text, penalty / 2);
        }
    }
    EXPECT_GT(control_differs, 0u);
}

TEST(Unigram, SpacesAndUnknowns) {
    Vocabulary vocabulary =
        unigram_vocabulary({{"▁", -4}, {"▁a", -1}, {"a", -2}, {"b", -3}, {"▁▁", -1}});
    const auto tokenizer = make_tokenizer(vocabulary);
    const Token space = 3, word = 4, a = 5, b = 6, two = 7;
    EXPECT_EQ(encode(*tokenizer, " a   ab "), (std::vector<Token>{word, word, b, 1}));
    EXPECT_EQ(encode(*tokenizer, "  "), std::vector<Token>{1});
    EXPECT_EQ(encode(*tokenizer, "aa", kPlain), (std::vector<Token>{word, a}));
    EXPECT_EQ(encode(*tokenizer, "axyz\u4E00b", kPlain), (std::vector<Token>{word, 2, b}));
    EXPECT_EQ(encode(*tokenizer, "xa", kPlain), (std::vector<Token>{space, 2, a}));
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, "a ab")), "a ab");
    vocabulary.remove_extra_spaces = false;
    EXPECT_EQ(encode(*make_tokenizer(vocabulary), "a  a", kPlain),
              (std::vector<Token>{word, two, a}));
    EXPECT_EQ(encode(*make_tokenizer(vocabulary), "  b", kPlain),
              (std::vector<Token>{space, two, b}));
}

TEST(Unigram, AtomicTokens) {
    Vocabulary vocabulary = unigram_vocabulary({{"▁", -4}, {"▁a", -1}});
    const Token extra = add_token(vocabulary, "<extra_id_0>", TokenType::user_defined);
    const auto tokenizer = make_tokenizer(vocabulary);
    EXPECT_EQ(encode(*tokenizer, "a<extra_id_0> a", kPlain), (std::vector<Token>{4, extra, 4}));
}

TEST(Unigram, ByteFallback) {
    Vocabulary vocabulary = unigram_vocabulary({{"▁a", -1}});
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        std::snprintf(text, sizeof text, "<0x%02X>", byte);
        add_token(vocabulary, text, TokenType::byte);
    }
    vocabulary.remove_extra_spaces = false;
    const auto tokenizer = make_tokenizer(vocabulary);
    std::mt19937_64 random(82);
    for (int round = 0; round < 200; ++round) {
        const std::string text = test::random_text(random, 20, true);
        EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text) << printable(text);
    }
}

// Linear in the text: the timeout is the judge.
TEST(Unigram, LongText) {
    const auto tokenizer = make_tokenizer(
        unigram_vocabulary({{"▁", -4}, {"a", -1}, {"aaaa", -2}, {"aaaaaaaaaaaaaaaa", -3}}));
    EXPECT_EQ(encode(*tokenizer, std::string(1 << 20, 'a'), kPlain).size(), 1 + (1u << 16));
}

// A table of the rules "x" -> "a" and "xy" -> "bb": the double array, unit by unit. Node n has its
// children at n's offset XOR byte; 256-wide blocks keep them apart.
std::string charsmap_of_two_rules() {
    constexpr uint32_t kLeaf = 1u << 8;
    const auto unit = [](uint32_t label, uint32_t offset, uint32_t leaf) {
        return offset << 10 | leaf | label;
    };
    std::vector<uint32_t> units(0x400, 0);
    units[0] = unit(0, 0x100, 0);
    const uint32_t x = 0x100 ^ 'x';
    units[x] = unit('x', x ^ 0x200, kLeaf); // children at 0x200
    units[0x200] = 0x80000000u | 0;         // the value of "x"
    const uint32_t xy = 0x200 ^ 'y';
    units[xy] = unit('y', xy ^ 0x300, kLeaf);
    units[0x300] = 0x80000000u | 2;
    const auto size = static_cast<uint32_t>(units.size() * sizeof(uint32_t));
    std::string out(sizeof size + size, '\0');
    std::memcpy(out.data(), &size, sizeof size);
    std::memcpy(out.data() + sizeof size, units.data(), size);
    return out + std::string("a\0bb\0", 5);
}

TEST(Charsmap, LongestPrefix) {
    const std::string bytes = charsmap_of_two_rules();
    const auto map = Charsmap::create(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(map.ok()) << map.error().message;
    const auto match = [&](std::string_view text) {
        const auto found = map->longest_prefix(text);
        return found ? std::to_string(found->length) + std::string(found->replacement) : "";
    };
    EXPECT_EQ(match("xz"), "1a");
    EXPECT_EQ(match("xyz"), "2bb");
    EXPECT_EQ(match("yx"), "");
    EXPECT_EQ(match(""), "");

    Vocabulary vocabulary = unigram_vocabulary({{"▁", -4}, {"a", -1}, {"b", -2}});
    vocabulary.charsmap = bytes;
    const auto tokenizer = make_tokenizer(vocabulary);
    EXPECT_EQ(encode(*tokenizer, "xxy", kPlain), (std::vector<Token>{3, 4, 5, 5}));
}

// Whatever the bytes are, following them stays within them (a sanitizer is the judge).
TEST(Charsmap, RandomBytes) {
    std::mt19937_64 random(83);
    for (int round = 0; round < 2000; ++round) {
        std::string bytes = charsmap_of_two_rules();
        for (uint64_t n = 1 + random() % 8; n > 0; --n)
            bytes[4 + random() % (bytes.size() - 4)] = static_cast<char>(random());
        bytes.resize(bytes.size() - random() % 5);
        const auto map = Charsmap::create(std::as_bytes(std::span(bytes)));
        ASSERT_TRUE(map.ok());
        for (const char *text : {"x", "xy", "xyxyxy", "zzz"})
            (void)map->longest_prefix(text);
    }
    for (const std::string &bytes : {std::string(3, '\1'), std::string(8, '\1'),
                                     std::string("\2\0\0\0ab", 6), std::string(4, '\0')}) {
        const auto map = Charsmap::create(std::as_bytes(std::span(bytes)));
        ASSERT_FALSE(map.ok());
        EXPECT_EQ(map.error().tag, "bad_vocab");
    }
}

} // namespace
