// Tiny random models of each architecture, whole on Vulkan, against logits and greedy tokens of another
// implementation.
#include "core/engine/generate.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

namespace realizar {
namespace {

// Everything here runs under the validation layer; a message fails the submission after it.
[[maybe_unused]] const int kValidated = setenv("REALIZAR_VULKAN_VALIDATE", "1", 0);

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

class VulkanArchitecture : public testing::TestWithParam<const char *> {
  protected:
    void expect_logits(const std::shared_ptr<Engine> &engine, size_t piece) const {
        RZ_ASSERT_OK(const auto session, Session::create(engine));
        const Json &rows = expected_.at("logits");
        size_t compared = 0;
        for (size_t at = 0; at < tokens_.size(); at += piece) {
            const auto part = std::span(tokens_).subspan(at, std::min(piece, tokens_.size() - at));
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

    void expect_greedy(const std::shared_ptr<Engine> &engine) const {
        RZ_ASSERT_OK(const auto session, Session::create(engine));
        const auto greedy = expected_.at("greedy").get<std::vector<Token>>();
        GenerateOptions options;
        options.sampling.temperature = 0;
        options.ignore_end = true;
        options.max_tokens = static_cast<uint32_t>(greedy.size());
        RZ_ASSERT_OK(const Generation out, generate(*session, tokens_, options));
        EXPECT_EQ(out.tokens.size(), greedy.size());
        // Where the best two tokens are nearly equal, rounding decides.
        if (expected_.at("greedy_smallest_margin").get<double>() > 0.01) {
            EXPECT_EQ(out.tokens, greedy);
        }
    }

    Json expected_;
    std::vector<Token> tokens_;
};

TEST_P(VulkanArchitecture, RunsWholeAndGivesTheLogits) {
    const std::string name = std::string("fixtures/arch/") + GetParam();
    RZ_REQUIRE_SHARED(model, name + ".gguf");
    RZ_REQUIRE_BACKEND("vulkan");
    std::ifstream(test::shared_path(name + ".json")) >> expected_;
    tokens_ = expected_.at("tokens").get<std::vector<Token>>();
    EngineOptions options;
    options.logit_rows = 64;
    RZ_ASSERT_OK(const auto engine, test::load_engine(model, "vulkan", options));
    expect_logits(engine, tokens_.size()); // tiles
    expect_logits(engine, 5);              // matrix by vectors
    expect_greedy(engine);
}

constexpr const char *kFixtures[] = {
    "bloom",       "cohere2",    "command-r", "deepseek2", "falcon",   "gemma",    "gemma2",
    "gemma3",      "glm4",       "gpt-oss",   "gpt2",      "gptneox",  "granite",  "llama",
    "llama3-rope", "llama-yarn", "mamba",     "mixtral",   "mpt",      "nemotron", "olmo2",
    "olmoe",       "phi2",       "phi3",      "qwen2",     "qwen2moe", "qwen3",    "qwen3moe",
    "smollm3",     "stablelm",   "starcoder2"};

INSTANTIATE_TEST_SUITE_P(Models, VulkanArchitecture, testing::ValuesIn(kFixtures),
                         [](const auto &one) {
                             std::string name = one.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

} // namespace
} // namespace realizar
