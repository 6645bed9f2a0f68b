// Against published expectations: the vocabularies of llama.cpp and the project's story models.
#include "core/format/gguf.h"
#include "tests/support/shared.h"
#include "tests/tokenizer/vocabularies.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

using namespace realizar;

namespace {

std::string read_text(const std::filesystem::path &path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::shared_ptr<const Tokenizer> open_tokenizer(const std::filesystem::path &path) {
    const auto file = GgufFile::open(path);
    EXPECT_TRUE(file.ok()) << file.error().message;
    if (!file.ok()) return nullptr;
    auto vocabulary = vocabulary_from_gguf(**file);
    EXPECT_TRUE(vocabulary.ok()) << vocabulary.error().message;
    return vocabulary.ok() ? test::make_tokenizer(std::move(*vocabulary)) : nullptr;
}

// Texts stand between lines that hold the separator; each text's own last newline is the
// separator's.
std::vector<std::string> split_texts(const std::string &all) {
    const std::string separator = "\n__ggml_vocab_test__\n";
    std::vector<std::string> texts;
    size_t begin = 0;
    for (size_t end; (end = all.find(separator, begin)) != all.npos; begin = end + separator.size())
        texts.push_back(all.substr(begin, end - begin));
    return texts;
}

std::vector<std::vector<Token>> read_ids(const std::filesystem::path &path) {
    std::vector<std::vector<Token>> lines;
    std::istringstream in(read_text(path));
    for (std::string line; std::getline(in, line);) {
        std::istringstream ids(line);
        lines.emplace_back(std::istream_iterator<Token>(ids), std::istream_iterator<Token>());
    }
    return lines;
}

std::string name_of(const testing::TestParamInfo<const char *> &instance) {
    std::string name = instance.param;
    std::ranges::replace(name, '-', '_');
    return name;
}

class PublishedVocabulary : public testing::TestWithParam<const char *> {};

TEST_P(PublishedVocabulary, EveryLine) {
    const std::string name = std::string("fixtures/tokenizers/") + GetParam() + ".gguf";
    RZ_REQUIRE_SHARED(path, name);
    const auto tokenizer = open_tokenizer(path);
    ASSERT_TRUE(tokenizer);
    const auto texts = split_texts(read_text(path.string() + ".inp"));
    const auto ids = read_ids(path.string() + ".out");
    ASSERT_EQ(texts.size(), ids.size());
    ASSERT_GT(texts.size(), 40u);
    for (size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(test::encode(*tokenizer, texts[i], {.add_special = false}), ids[i])
            << "text " << i << ": " << printable(texts[i]);
        // WordPiece takes case, accents and spaces off.
        if (tokenizer->vocabulary().model == "bert") continue;
        EXPECT_EQ(tokenizer->decode(ids[i]), texts[i]) << "text " << i;
    }
}

TEST_P(PublishedVocabulary, RandomTextsComeBack) {
    const std::string name = std::string("fixtures/tokenizers/") + GetParam() + ".gguf";
    RZ_REQUIRE_SHARED(path, name);
    const auto tokenizer = open_tokenizer(path);
    ASSERT_TRUE(tokenizer);
    if (tokenizer->vocabulary().model == "bert") GTEST_SKIP() << "WordPiece is not lossless";
    std::mt19937_64 random(7);
    for (int round = 0; round < 300; ++round) {
        const std::string text = test::random_text(random, 1 + random() % 40, false);
        const auto tokens = test::encode(*tokenizer, text);
        EXPECT_EQ(tokenizer->decode(tokens), text) << printable(text);
    }
}

INSTANTIATE_TEST_SUITE_P(All, PublishedVocabulary,
                         testing::Values("llama-spm", "phi-3", "gpt-2", "deepseek-coder",
                                         "bert-bge"),
                         name_of);

class StoryModel : public testing::TestWithParam<const char *> {};

TEST_P(StoryModel, PromptsAndReplies) {
    const std::string name = GetParam();
    RZ_REQUIRE_SHARED(path, "models/" + name + "-f16.gguf");
    RZ_REQUIRE_SHARED(golden_path, "models/" + name + "-golden.json");
    const auto tokenizer = open_tokenizer(path);
    ASSERT_TRUE(tokenizer);
    const auto golden = nlohmann::json::parse(read_text(golden_path));
    ASSERT_FALSE(golden["cases"].empty());
    for (const auto &entry : golden["cases"]) {
        const std::string prompt = entry["prompt"];
        EXPECT_EQ(test::encode(*tokenizer, prompt), entry["tokens"].get<std::vector<Token>>())
            << prompt;
        const auto reply = entry["greedy"].get<std::vector<Token>>();
        EXPECT_EQ(tokenizer->decode(reply), entry["greedy_text"].get<std::string>()) << prompt;
        StreamDecoder stream(tokenizer, true);
        std::string streamed;
        for (const Token token : reply)
            streamed += stream.push(token);
        EXPECT_EQ(streamed + stream.finish(), entry["greedy_text"].get<std::string>()) << prompt;
    }
}

INSTANTIATE_TEST_SUITE_P(All, StoryModel, testing::Values("fable-21m", "fable-draft-3m"), name_of);

} // namespace
