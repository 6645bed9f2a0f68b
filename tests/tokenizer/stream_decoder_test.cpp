#include "tests/tokenizer/vocabularies.h"

using namespace realizar;

namespace {

// Token = byte.
std::shared_ptr<const Tokenizer> bytes_tokenizer() {
    return test::make_tokenizer(test::bpe_vocabulary({}));
}

std::string stream(const std::shared_ptr<const Tokenizer> &tokenizer, std::string_view bytes) {
    StreamDecoder decoder(tokenizer);
    std::string out;
    for (const char c : bytes)
        out += decoder.push(static_cast<uint8_t>(c));
    return out + decoder.finish();
}

TEST(StreamDecoder, NeverHalfACharacter) {
    const auto tokenizer = bytes_tokenizer();
    std::mt19937_64 random(41);
    for (int round = 0; round < 200; ++round) {
        const std::string text = test::random_text(random, 20, false);
        StreamDecoder decoder(tokenizer);
        std::string out;
        for (const char c : text) {
            const std::string shown = decoder.push(static_cast<uint8_t>(c));
            out += shown;
            // What has been shown ends where the text has a border between characters.
            if (out.size() < text.size()) {
                EXPECT_NE(static_cast<uint8_t>(text[out.size()]) & 0xC0, 0x80);
            }
        }
        EXPECT_EQ(out, text);
        EXPECT_EQ(decoder.finish(), "");
    }
}

// The table of Unicode 15, section 3.9 ("U+FFFD Substitution of Maximal Subparts").
TEST(StreamDecoder, MaximalSubparts) {
    const auto tokenizer = bytes_tokenizer();
    const std::string r = "\xEF\xBF\xBD";
    EXPECT_EQ(stream(tokenizer, "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
              r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(stream(tokenizer, "\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"),
              r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(stream(tokenizer, "\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
              r + r + r + r + r + "A" + r + r + "B");
    EXPECT_EQ(stream(tokenizer, "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
    EXPECT_EQ(stream(tokenizer, "a\xF0\x9F\x98"), "a" + r); // cut at the end
    EXPECT_EQ(stream(tokenizer, ""), "");
}

TEST(StreamDecoder, AnyBytesGiveValidText) {
    const auto tokenizer = bytes_tokenizer();
    std::mt19937_64 random(42);
    for (int round = 0; round < 200; ++round) {
        std::string bytes;
        for (uint64_t n = random() % 40; n > 0; --n)
            bytes += static_cast<char>(random() % 2 ? 0x80 + random() % 0x80 : 'a' + random() % 26);
        const std::string text = stream(tokenizer, bytes);
        EXPECT_EQ(stream(tokenizer, text), text); // valid text passes unchanged
        EXPECT_EQ(text.find("\xEF\xBF\xBD") == text.npos, text == bytes);
    }
}

TEST(StreamDecoder, LeadingSpace) {
    const auto tokenizer = test::make_tokenizer(test::spm_vocabulary({"\xE2\x96\x81", "a",
                                                                      "\xE2\x96\x81"
                                                                      "a"}));
    StreamDecoder fresh(tokenizer, true);
    EXPECT_EQ(fresh.push(1), ""); // BOS does not count as text
    EXPECT_EQ(fresh.push(261), "a");
    EXPECT_EQ(fresh.push(261), " a");
    StreamDecoder continued(tokenizer);
    EXPECT_EQ(continued.push(261), " a");
}

TEST(StreamDecoder, ForeignTokens) {
    StreamDecoder decoder(bytes_tokenizer());
    EXPECT_EQ(decoder.push(0xE4), "");
    EXPECT_EQ(decoder.push(-7), "");
    EXPECT_EQ(decoder.push(INT32_MAX), "");
    EXPECT_EQ(decoder.push(0xB8), "");
    EXPECT_EQ(decoder.push(0x80), "\xE4\xB8\x80");
}

} // namespace
