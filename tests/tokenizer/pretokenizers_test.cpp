#include "core/tokenizer/pretokenizers.h"

#include "tests/tokenizer/vocabularies.h"

#include <sstream>

using namespace realizar;

namespace {

using Words = std::vector<std::string>;

Words split(std::string_view name, std::string_view text) {
    const auto row = find_pretokenizer(name);
    EXPECT_TRUE(row.ok()) << row.error().message;
    if (!row.ok()) return {};
    const auto made = Pretokenizer::create(**row);
    EXPECT_TRUE(made.ok()) << made.error().message;
    if (!made.ok()) return {};
    const auto words = made->split(text);
    EXPECT_TRUE(words.ok()) << words.error().message;
    return words.ok() ? Words(words->begin(), words->end()) : Words{};
}

// Expected words follow from reading the published patterns.
TEST(Pretokenizers, Words) {
    const std::string text = "I'll PAY  12345 \xC3\xA9t\xC3\xA9s!!\n\n ok";
    const std::string summer = "\xC3\xA9t\xC3\xA9s";
    EXPECT_EQ(split("gpt-2", text),
              (Words{"I", "'ll", " PAY", " ", " 12345", " " + summer, "!!", "\n\n", " ok"}));
    EXPECT_EQ(split("llama-bpe", text),
              (Words{"I", "'ll", " PAY", " ", " ", "123", "45", " " + summer, "!!\n\n", " ok"}));
    EXPECT_EQ(split("qwen2", text), (Words{"I", "'ll", " PAY", " ", " ", "1", "2", "3", "4", "5",
                                           " " + summer, "!!\n\n", " ok"}));
    EXPECT_EQ(split("starcoder", text), (Words{"I", "'ll", " PAY", "  ", "1", "2", "3", "4", "5",
                                               " " + summer, "!!", "\n\n", " ok"}));
    EXPECT_EQ(split("deepseek-coder", "a\n\nb c, 12"),
              (Words{"a", "\n", "\n", "b", " c", ",", " ", "1", "2"}));
    EXPECT_EQ(split("deepseek-v3", "ab1234, \xE4\xB8\x80\xE3\x81\x82x"),
              (Words{"ab", "123", "4", ",", " ", "\xE4\xB8\x80\xE3\x81\x82", "x"}));
    EXPECT_EQ(split("gpt-4o", "camelCase it's HTTPServer"),
              (Words{"camel", "Case", " it's", " HTTPServer"}));
    EXPECT_EQ(split("tekken", "camelCase 12"), (Words{"camel", "Case", " ", "1", "2"}));
    EXPECT_EQ(split("falcon", "a`b 1234"), (Words{"a", "`", "b", " ", "123", "4"}));
    EXPECT_EQ(split("bloom", "one, two"), (Words{"one", ",", " two"}));
}

// "'S" is a suffix only where the pattern says (?i:...).
TEST(Pretokenizers, Case) {
    EXPECT_EQ(split("gpt-2", "IT'S"), (Words{"IT", "'", "S"}));
    EXPECT_EQ(split("llama-bpe", "IT'S"), (Words{"IT", "'S"}));
}

TEST(Pretokenizers, EveryRow) {
    const auto unknown = find_pretokenizer("no-such-name");
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().tag, "unsupported_pretokenizer");
    EXPECT_EQ(unknown.error().code, Code::unsupported);
    const std::string &message = unknown.error().message;
    EXPECT_NE(message.find("'no-such-name'"), std::string::npos);

    const size_t begin = message.find("one of ") + 7;
    std::istringstream names(message.substr(begin, message.find(", found") - begin));
    std::mt19937_64 random(51);
    size_t count = 0;
    for (std::string name; names >> name; ++count) {
        for (int round = 0; round < 50; ++round) {
            const std::string text = test::random_text(random, 30, true);
            std::string joined;
            for (const std::string &word : split(name, text)) {
                EXPECT_FALSE(word.empty());
                joined += word;
            }
            EXPECT_EQ(joined, text) << name;
        }
    }
    EXPECT_GT(count, 30u);
    for (const char *name : {"llama-bpe", "qwen2", "gpt-2", "gpt-4o", "deepseek-llm", "falcon",
                             "deepseek-coder", "deepseek-v3", "mpt", "starcoder", "refact",
                             "command-r", "stablelm2", "olmo", "dbrx", "smollm", "tekken", "glm4"})
        EXPECT_TRUE(find_pretokenizer(name).ok()) << name;
    EXPECT_EQ(*find_pretokenizer(""), *find_pretokenizer("default"));
    EXPECT_FALSE(find_pretokenizer("qwen").ok());
    EXPECT_FALSE(find_pretokenizer("qwen2 stablelm2").ok());
}

TEST(Pretokenizers, BadBytesAreWords) {
    EXPECT_EQ(split("gpt-2", "ab\xFF\xFE cd\xC3"), (Words{"ab", "\xFF\xFE", " cd", "\xC3"}));
}

} // namespace
