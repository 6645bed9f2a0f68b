// The built-in story model on OpenCL and on the CPU: the same tokens.
#include "core/engine/generate.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>

namespace realizar {
namespace {

Result<Generation> tell(const std::string &backend, uint32_t tokens, DType cache = DType::F16) {
    EngineOptions options;
    options.key_type = options.value_type = cache;
    options.context = 128;
    const auto model =
        std::filesystem::path(REALIZAR_SOURCE_DIR) / "models" / "fable-21m-q8_0.gguf";
    RZ_ASSIGN(auto engine, test::load_engine(model, backend, options));
    RZ_ASSIGN(auto session, Session::create(engine));
    RZ_ASSIGN(const auto prompt,
              prompt_tokens(*engine->tokenizer(), "Once upon a time there was a fox who"));
    GenerateOptions generate_options;
    generate_options.sampling.temperature = 0;
    generate_options.max_tokens = tokens;
    return generate(*session, prompt, generate_options);
}

TEST(OpenClEngine, TellsTheStoryOfTheCpu) {
    RZ_REQUIRE_BACKEND("opencl");
    RZ_REQUIRE_BACKEND("cpu");
    constexpr uint32_t kTokens = 24;
    RZ_ASSERT_OK(const Generation here, tell("opencl", kTokens));
    RZ_ASSERT_OK(const Generation there, tell("cpu", kTokens));
    EXPECT_EQ(here.tokens.size(), kTokens);
    EXPECT_EQ(here.text, there.text);
    EXPECT_EQ(here.tokens, there.tokens);
}

TEST(OpenClEngine, TellsItFromCachesOfBlocks) {
    RZ_REQUIRE_BACKEND("opencl");
    RZ_REQUIRE_BACKEND("cpu");
    constexpr uint32_t kTokens = 12;
    for (const DType cache : {DType::Q8_0, DType::Q4_0}) {
        RZ_ASSERT_OK(const Generation here, tell("opencl", kTokens, cache));
        RZ_ASSERT_OK(const Generation there, tell("cpu", kTokens, cache));
        EXPECT_EQ(here.tokens, there.tokens) << static_cast<int>(cache);
    }
}

using Json = nlohmann::json;

// Relative to the length of the row, with a cache in F16.
constexpr double kLogitTolerance = 2e-3;

double distance(std::span<const float> row, const Json &expected) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < row.size(); ++i) {
        const double value = expected.at(i).get<double>();
        difference += std::pow(row[i] - value, 2);
        norm += value * value;
    }
    return std::sqrt(difference / norm);
}

// Tiny random models of architectures against logits of another implementation.
class OpenClFixture : public testing::TestWithParam<const char *> {};

TEST_P(OpenClFixture, GivesTheLogits) {
    const std::string name = std::string("fixtures/arch/") + GetParam();
    RZ_REQUIRE_SHARED(model, name + ".gguf");
    RZ_REQUIRE_BACKEND("opencl");
    Json expected;
    std::ifstream(test::shared_path(name + ".json")) >> expected;
    const auto tokens = expected.at("tokens").get<std::vector<Token>>();
    const Json &rows = expected.at("logits");
    EngineOptions options;
    options.logit_rows = 64;
    RZ_ASSERT_OK(const auto engine, test::load_engine(model, "opencl", options));
    for (const size_t piece : {tokens.size(), size_t{5}}) { // tiles, then matrix by vectors
        RZ_ASSERT_OK(const auto session, Session::create(engine));
        size_t compared = 0;
        for (size_t at = 0; at < tokens.size(); at += piece) {
            const auto part = std::span(tokens).subspan(at, std::min(piece, tokens.size() - at));
            const auto status = session->append(part, [&](size_t i, std::span<const float> row) {
                const std::string position = std::to_string(at + i);
                if (!rows.contains(position)) return;
                EXPECT_LT(distance(row, rows.at(position)), kLogitTolerance) << position;
                std::vector<float> wrong(row.begin(), row.end());
                wrong[0] += 1.0f; // the comparison sees one wrong logit
                EXPECT_GT(distance(wrong, rows.at(position)), kLogitTolerance);
                ++compared;
            });
            ASSERT_TRUE(status.ok()) << test::message_of(status.error());
        }
        EXPECT_EQ(compared, rows.size());
    }
}
INSTANTIATE_TEST_SUITE_P(Architectures, OpenClFixture,
                         testing::Values("llama", "llama3-rope", "llama-yarn", "qwen2", "qwen3",
                                         "phi2", "phi3", "gemma2"));

} // namespace
} // namespace realizar
