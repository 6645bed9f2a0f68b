// The built-in story model on Vulkan and on the CPU: the same tokens.
#include "core/engine/generate.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>

namespace realizar {
namespace {

// Everything here runs under the validation layer; a message fails the submission after it.
[[maybe_unused]] const int kValidated = setenv("REALIZAR_VULKAN_VALIDATE", "1", 0);

Result<Generation> tell(const std::string &backend, uint32_t tokens) {
    EngineOptions options;
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

TEST(VulkanEngine, TellsTheStoryOfTheCpu) {
    RZ_REQUIRE_BACKEND("vulkan");
    RZ_REQUIRE_BACKEND("cpu");
    constexpr uint32_t kTokens = 24;
    RZ_ASSERT_OK(const Generation here, tell("vulkan", kTokens));
    RZ_ASSERT_OK(const Generation there, tell("cpu", kTokens));
    EXPECT_EQ(here.tokens.size(), kTokens);
    EXPECT_EQ(here.text, there.text);
    EXPECT_EQ(here.tokens, there.tokens);
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
class VulkanFixture : public testing::TestWithParam<const char *> {};

TEST_P(VulkanFixture, GivesTheLogits) {
    const std::string name = std::string("fixtures/arch/") + GetParam();
    RZ_REQUIRE_SHARED(model, name + ".gguf");
    RZ_REQUIRE_BACKEND("vulkan");
    Json expected;
    std::ifstream(test::shared_path(name + ".json")) >> expected;
    const auto tokens = expected.at("tokens").get<std::vector<Token>>();
    const Json &rows = expected.at("logits");
    EngineOptions options;
    options.logit_rows = 64;
    // Operators that the plugin lacks run on the CPU, within the same graph.
    RZ_ASSERT_OK(DeviceChoice choice, test::backends().choose({"vulkan", "", false}));
    options.devices = std::move(choice.devices);
    RZ_ASSERT_OK(auto file, GgufFile::open(model));
    RZ_ASSERT_OK(const auto engine, Engine::load(std::move(file), options));
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
INSTANTIATE_TEST_SUITE_P(Architectures, VulkanFixture,
                         testing::Values("llama", "llama3-rope", "llama-yarn", "qwen2", "bloom",
                                         "cohere2", "deepseek2", "gemma3", "gpt-oss", "mamba",
                                         "phi2", "qwen2moe", "stablelm"));

} // namespace
} // namespace realizar
