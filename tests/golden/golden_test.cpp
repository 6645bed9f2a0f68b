// The story models against another implementation (float32 arithmetic on the float16 weights): token
// ids, greedy continuations, logits, perplexity.
#include "core/engine/generate.h"
#include "core/engine/perplexity.h"
#include "core/format/convert_hf.h"
#include "tests/models/tiny_model.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>
#include <tuple>

namespace realizar {
namespace {

using Json = nlohmann::json;

constexpr double kLogitTolerance = 1e-3; // relative to the length of the row
constexpr double kPerplexityTolerance = 1e-3;

struct Model {
    const char *name;
    const char *file; // under shared/models; a folder is converted first
    const char *golden;
};
constexpr Model kModels[] = {
    {"fable_21m", "fable-21m-f16.gguf", "fable-21m-golden.json"},
    {"fable_draft", "fable-draft-3m-f16.gguf", "fable-draft-3m-golden.json"},
    {"fable_draft_hf", "fable-draft-3m-hf", "fable-draft-3m-golden.json"},
};

double l2(std::span<const float> row) {
    return std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
}

struct Top {
    Token token;
    double logit;
};
// Whether the row is the expected one as far as the file tells: its ten largest logits, its sum and
// its length.
bool matches(std::span<const float> row, const std::vector<Top> &top, double sum, double length) {
    const double allowed = kLogitTolerance * length;
    const double root = std::sqrt(static_cast<double>(row.size()));
    for (const Top &expected : top)
        if (std::abs(row[static_cast<size_t>(expected.token)] - expected.logit) > allowed / root)
            return false;
    // |sum of differences| <= root * |difference|
    return std::abs(std::accumulate(row.begin(), row.end(), 0.0) - sum) <= allowed * root &&
           std::abs(l2(row) - length) <= allowed;
}

class Golden : public testing::TestWithParam<std::tuple<Model, std::string>> {
  protected:
    void SetUp() override {
        const auto &[model, backend] = GetParam();
        RZ_REQUIRE_SHARED(file, std::string("models/") + model.file);
        RZ_REQUIRE_BACKEND(backend);
        std::ifstream(test::shared_path(std::string("models/") + model.golden)) >> golden_;
        std::filesystem::path path = file;
        if (std::filesystem::is_directory(file)) {
            path = folder_.path() / "converted.gguf";
            const auto status = convert_hf(file, path);
            ASSERT_TRUE(status.ok()) << test::message_of(status.error());
        }
        EngineOptions options;
        options.context = 512;
        options.logit_rows = 512;
        RZ_ASSERT_OK(engine_, test::load_engine(path, backend, options));
        RZ_ASSERT_OK(session_, Session::create(engine_));
    }
    test::TemporaryFolder folder_;
    Json golden_;
    std::shared_ptr<Engine> engine_;
    std::unique_ptr<Session> session_;
};

TEST_P(Golden, TokensLogitsAndGreedyContinuation) {
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.ignore_end = true;
    ASSERT_EQ(golden_.at("cases").size(), 8u);
    for (const Json &expected : golden_.at("cases")) {
        const auto prompt = expected.at("prompt").get<std::string>();
        SCOPED_TRACE(prompt);
        RZ_ASSERT_OK(const auto tokens, prompt_tokens(*engine_->tokenizer(), prompt));
        EXPECT_EQ(tokens, expected.at("tokens").get<std::vector<Token>>());

        ASSERT_TRUE(session_->assign(tokens).ok());
        std::vector<float> row(session_->logits().begin(), session_->logits().end());
        std::vector<Top> top;
        for (const Json &pair : expected.at("last_logits_top10"))
            top.push_back({pair.at(0).get<Token>(), pair.at(1).get<double>()});
        const double sum = expected.at("last_logits_sum"), length = expected.at("last_logits_l2");
        EXPECT_TRUE(matches(row, top, sum, length));
        // An error of the allowed size in the best logit alone, or in all of them, is seen.
        row[static_cast<size_t>(top[0].token)] += static_cast<float>(kLogitTolerance * length);
        EXPECT_FALSE(matches(row, top, sum, length));
        for (float &logit : row)
            logit *= 1.003f;
        EXPECT_FALSE(matches(row, top, sum, length));

        const auto greedy = expected.at("greedy").get<std::vector<Token>>();
        options.max_tokens = static_cast<uint32_t>(greedy.size());
        RZ_ASSERT_OK(const Generation out, generate(*session_, tokens, options));
        EXPECT_EQ(out.tokens, greedy);
    }
}

// Sixteen thousand tokens: not on the reference, which would take minutes.
using GoldenPerplexity = Golden;
TEST_P(GoldenPerplexity, IsThatOfTheOtherImplementation) {
    const Json &expected = golden_.at("perplexity");
    std::ifstream file(test::shared_path("models/heldout.txt"));
    std::ostringstream text;
    text << file.rdbuf();
    PerplexityOptions options;
    options.chunk = expected.at("chunk_tokens");
    options.chunks = expected.at("chunks");
    options.separator = "<|end|>";
    RZ_ASSERT_OK(const Perplexity out, perplexity(*session_, text.str(), options));
    EXPECT_EQ(out.chunks, options.chunks);
    EXPECT_NEAR(out.value / expected.at("value").get<double>(), 1, kPerplexityTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         testing::Combine(testing::ValuesIn(kModels),
                                          testing::Values("reference", "cpu")),
                         [](const auto &one) {
                             return std::string(std::get<0>(one.param).name) + "_" +
                                    std::get<1>(one.param);
                         });

INSTANTIATE_TEST_SUITE_P(Models, GoldenPerplexity,
                         testing::Combine(testing::ValuesIn(kModels), testing::Values("cpu")),
                         [](const auto &one) {
                             return std::string(std::get<0>(one.param).name) + "_" +
                                    std::get<1>(one.param);
                         });

// The models that come with the program are as good as those that they were made of.
TEST(GoldenBuiltIn, QuantisationCostsNoPerplexity) {
    RZ_REQUIRE_SHARED(heldout, "models/heldout.txt");
    RZ_REQUIRE_BACKEND("cpu");
    std::ostringstream text;
    text << std::ifstream(heldout).rdbuf();
    for (const std::string name : {"fable-21m", "fable-draft-3m"}) {
        Json golden;
        std::ifstream(test::shared_path("models/" + name + "-golden.json")) >> golden;
        EngineOptions load;
        load.context = load.logit_rows = 512;
        RZ_ASSERT_OK(auto engine, test::load_engine(std::filesystem::path(REALIZAR_SOURCE_DIR) /
                                                        "models" / (name + "-q8_0.gguf"),
                                                    "cpu", load));
        RZ_ASSERT_OK(const auto session, Session::create(engine));
        PerplexityOptions options;
        options.chunks = 32;
        options.separator = "<|end|>";
        RZ_ASSERT_OK(const Perplexity out, perplexity(*session, text.str(), options));
        const double expected = golden.at("perplexity").at("value");
        EXPECT_NEAR(out.value / expected, 1, kPerplexityTolerance) << name;
    }
}

} // namespace
} // namespace realizar
