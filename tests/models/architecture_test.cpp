// Tiny random models of each architecture against logits and greedy tokens of another implementation.
#include "core/engine/generate.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <tuple>

namespace realizar {
namespace {

using Json = nlohmann::json;

const std::string kFixtures[] = {
    "bloom",       "cohere2",    "command-r", "deepseek2", "falcon",   "gemma",    "gemma2",
    "gemma3",      "glm4",       "gpt-oss",   "gpt2",      "gptneox",  "granite",  "llama",
    "llama3-rope", "llama-yarn", "mamba",     "mixtral",   "mpt",      "nemotron", "olmo2",
    "olmoe",       "phi2",       "phi3",      "qwen2",     "qwen2moe", "qwen3",    "qwen3moe",
    "smollm3",     "stablelm",   "starcoder2"};

double distance(std::span<const float> row, const Json &expected) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < row.size(); ++i) {
        const double value = expected.at(i).get<double>();
        difference += std::pow(row[i] - value, 2);
        norm += value * value;
    }
    return std::sqrt(difference / norm);
}

// (architecture, backend)
class Architecture : public testing::TestWithParam<std::tuple<std::string, std::string>> {
  protected:
    void SetUp() override {
        const std::string name = "fixtures/arch/" + std::get<0>(GetParam());
        RZ_REQUIRE_SHARED(model, name + ".gguf");
        RZ_REQUIRE_BACKEND(backend());
        model_ = model;
        std::ifstream(test::shared_path(name + ".json")) >> expected_;
        tokens_ = expected_.at("tokens").get<std::vector<Token>>();
    }
    std::string backend() const { return std::get<1>(GetParam()); }

    std::unique_ptr<Session> session(DType cache) {
        EngineOptions options;
        options.key_type = options.value_type = cache;
        options.logit_rows = 64;
        auto engine = test::load_engine(model_, backend(), options);
        EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : test::message_of(engine.error()));
        if (!engine.ok()) return nullptr;
        return std::move(Session::create(std::move(engine).value())).value();
    }

    void expect_logits(DType cache, size_t piece, double tolerance) {
        const auto one = session(cache);
        ASSERT_TRUE(one);
        const Json &rows = expected_.at("logits");
        int compared = 0;
        for (size_t at = 0; at < tokens_.size(); at += piece) {
            const auto part = std::span(tokens_).subspan(at, std::min(piece, tokens_.size() - at));
            const auto status = one->append(part, [&](size_t i, std::span<const float> row) {
                const std::string position = std::to_string(at + i);
                if (!rows.contains(position)) return;
                EXPECT_LT(distance(row, rows.at(position)), tolerance) << "position " << position;
                ++compared;
            });
            ASSERT_TRUE(status.ok()) << test::message_of(status.error());
        }
        EXPECT_EQ(compared, static_cast<int>(rows.size()));
    }

    std::filesystem::path model_;
    Json expected_;
    std::vector<Token> tokens_;
};

TEST_P(Architecture, LogitsInOnePiece) { expect_logits(DType::F32, tokens_.size(), 1e-4); }
TEST_P(Architecture, LogitsInPiecesOfOne) { expect_logits(DType::F32, 1, 1e-4); }
TEST_P(Architecture, LogitsInPiecesOfSeven) { expect_logits(DType::F32, 7, 1e-4); }
TEST_P(Architecture, LogitsWithHalfPrecisionCache) {
    expect_logits(DType::F16, tokens_.size(), 2e-3);
}

TEST_P(Architecture, GreedyTokens) {
    const auto one = session(DType::F32);
    ASSERT_TRUE(one);
    const auto greedy = expected_.at("greedy").get<std::vector<Token>>();
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.ignore_end = true;
    options.max_tokens = static_cast<uint32_t>(greedy.size());
    RZ_ASSERT_OK(const Generation out, generate(*one, tokens_, options));
    // Where the best two tokens are nearly equal, rounding decides.
    if (expected_.at("greedy_smallest_margin").get<double>() > 0.01) {
        EXPECT_EQ(out.tokens, greedy);
    } else {
        EXPECT_EQ(out.tokens.size(), greedy.size());
    }
}

TEST_P(Architecture, TheComparisonSeesAnotherToken) {
    const auto one = session(DType::F32);
    ASSERT_TRUE(one);
    auto other = tokens_;
    Token &changed = other[other.size() - 2]; // within every window
    changed = (changed + 1) % 300;
    ASSERT_TRUE(one->append(other).ok());
    const std::string last = std::to_string(tokens_.size() - 1);
    EXPECT_GT(distance(one->logits(), expected_.at("logits").at(last)), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Models, Architecture,
                         testing::Combine(testing::ValuesIn(kFixtures),
                                          testing::Values("reference", "cpu")),
                         [](const auto &one) {
                             std::string name =
                                 std::get<0>(one.param) + "_" + std::get<1>(one.param);
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

} // namespace
} // namespace realizar
