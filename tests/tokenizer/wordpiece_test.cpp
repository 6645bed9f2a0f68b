// WordPiece: what BERT's "uncased" rules make of case, accents, punctuation and ideographs, and the
// greedy choice of the longest token.
#include "core/tokenizer/fold.h"
#include "core/tokenizer/utf8.h"
#include "tests/tokenizer/vocabularies.h"

using namespace realizar;
using test::add_token;
using test::encode;
using test::make_tokenizer;

namespace {

constexpr EncodeOptions kPlain{.add_special = false};

// Tokens that begin a word come with U+2581 before them, others without.
Vocabulary wordpiece_vocabulary(const std::vector<std::string> &pieces) {
    Vocabulary vocabulary;
    vocabulary.model = "bert";
    vocabulary.unk = add_token(vocabulary, "[UNK]", TokenType::control);
    vocabulary.bos = add_token(vocabulary, "[CLS]", TokenType::control);
    vocabulary.eos = add_token(vocabulary, "[SEP]", TokenType::control);
    for (const std::string &piece : pieces)
        add_token(vocabulary, piece, TokenType::normal);
    vocabulary.add_bos = vocabulary.add_eos = true;
    return vocabulary;
}

std::vector<std::string> texts(const Tokenizer &tokenizer, std::string_view text) {
    std::vector<std::string> out;
    for (const Token token : encode(tokenizer, text, kPlain))
        out.push_back(tokenizer.piece(token, true).empty() ? "[UNK]"
                                                           : tokenizer.piece(token, true));
    return out;
}

using Texts = std::vector<std::string>;

TEST(WordPiece, LongestFromTheLeft) {
    const auto tokenizer = make_tokenizer(
        wordpiece_vocabulary({"▁un", "▁unaff", "able", "aff", "▁a", "a", "b", "▁!"}));
    EXPECT_EQ(texts(*tokenizer, "unaffable"), (Texts{" unaff", "able"}));
    EXPECT_EQ(texts(*tokenizer, "unable"), (Texts{" un", "able"}));
    // No way back: " unaff" leaves "x", which no token begins.
    EXPECT_EQ(texts(*tokenizer, "unaffx a"), (Texts{"[UNK]", " a"}));
    EXPECT_EQ(texts(*tokenizer, "a!ab"), (Texts{" a", " !", " a", "b"}));
}

TEST(WordPiece, Special) {
    const auto tokenizer = make_tokenizer(wordpiece_vocabulary({"▁a"}));
    EXPECT_EQ(encode(*tokenizer, "a"), (std::vector<Token>{1, 3, 2}));
    EXPECT_EQ(encode(*tokenizer, ""), (std::vector<Token>{1, 2}));
    EXPECT_EQ(encode(*tokenizer, "a[SEP]a", kPlain), (std::vector<Token>{3, 2, 3}));
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, "a  A")), "a a");
}

TEST(WordPiece, CaseAccentsAndControls) {
    const auto tokenizer = make_tokenizer(wordpiece_vocabulary({"▁cafe", "▁一", "▁二", "▁a"}));
    for (const char *text : {"CAFÉ", "cafe\u0301", "Ca\u200Bfé",
                             "c\x01"
                             "afe",
                             "caf\u00E9\uFFFD", "caf\xFF\u00E9"})
        EXPECT_EQ(texts(*tokenizer, text), Texts{" cafe"}) << text;
    EXPECT_EQ(texts(*tokenizer, "一二a"), (Texts{" 一", " 二", " a"}));
    EXPECT_EQ(texts(*tokenizer, "a\u00A0a\u3000a\ta"), (Texts{" a", " a", " a", " a"}));
    EXPECT_EQ(texts(*tokenizer, "a\u200D\ta\u0301\n\u0301a"), (Texts{" a", " a", " a"}));
}

TEST(WordPiece, LongWordsAreUnknown) {
    const auto tokenizer = make_tokenizer(wordpiece_vocabulary({"▁a", "a"}));
    EXPECT_EQ(encode(*tokenizer, std::string(100, 'a'), kPlain).size(), 100u);
    EXPECT_EQ(texts(*tokenizer, std::string(101, 'a')), Texts{"[UNK]"});
    EXPECT_EQ(texts(*tokenizer, std::string(1 << 20, 'a')), Texts{"[UNK]"});
}

TEST(WordPiece, WithoutUnknownToken) {
    Vocabulary vocabulary = wordpiece_vocabulary({"▁a"});
    vocabulary.unk.reset();
    const auto failed = make_tokenizer(vocabulary)->encode("b");
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().tag, "unencodable_text");
}

TEST(WordPiece, AnyBytes) {
    const auto tokenizer = make_tokenizer(wordpiece_vocabulary({"▁a", "b"}));
    std::mt19937_64 random(71);
    for (int round = 0; round < 300; ++round)
        encode(*tokenizer, test::random_text(random, 40, true));
}

// Values from the Unicode character database.
TEST(Fold, Characters) {
    EXPECT_EQ(folded_text("ÀÉÎÕÜ ÇĀŐŻ ẪǞ"), "aeiou caoz aa");
    EXPECT_EQ(folded_text("ΑΒΓ Ά ΐ АБЙЁ"), "αβγ α ι абие");
    EXPECT_EQ(folded_text("ßøæĐ"), "ßøæđ");
    EXPECT_EQ(folded_text("İ K Å"), "i k a");
    EXPECT_EQ(folded_text("\uD55C\uAC00"), "\u1112\u1161\u11AB\u1100\u1161"); // Hangul
    EXPECT_EQ(folded_text("\uF900"), "\u8C48");
    EXPECT_EQ(folded_text("\U00010400"), "\U00010428");
    EXPECT_EQ(folded_text("\u09CB"), "\u09C7\u09BE");
    EXPECT_EQ(folded_text("a\u0301"), "a\u0301");
    EXPECT_EQ(folded_text("ĀāĂăĄą ƁƄ Ǆ"), "aaaaaa ɓƅ ǆ");
}

// Folding a second time changes nothing.
TEST(Fold, EveryCharacter) {
    size_t changed = 0;
    for (char32_t code = 0; code < 0x110000; ++code) {
        if (code >= 0xD800 && code < 0xE000) continue;
        std::string text;
        append_utf8(code, text);
        ASSERT_EQ(code_of_utf8(text), code);
        const std::string once = folded_text(text);
        changed += once != text;
        ASSERT_EQ(folded_text(once), once) << static_cast<uint32_t>(code);
    }
    EXPECT_GT(changed, 14000u); // 11172 syllables and the letters
}

} // namespace
