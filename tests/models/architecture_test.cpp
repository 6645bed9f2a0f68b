// Tiny random models of each architecture against logits and greedy tokens of another implementation.
#include "core/engine/generate.h"
#include "core/engine/session_file.h"
#include "tests/models/tiny_model.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <random>
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

// Rows of two sequences in turn, the second beginning later: neither sees anything of the other.
TEST_P(Architecture, TwoSequencesTogether) {
    EngineOptions options;
    options.sequences = options.logit_rows = 2;
    options.key_type = options.value_type = DType::F32;
    RZ_ASSERT_OK(const auto engine, test::load_engine(model_, backend(), options));
    const auto vocabulary = engine->config().vocabulary;
    const auto last = static_cast<uint32_t>(tokens_.size()) - 1;
    std::vector<BatchRow> rows;
    const auto add = [&](uint32_t sequence, uint32_t position) {
        rows.push_back({tokens_[position], position, sequence, position == last});
    };
    for (uint32_t i = 0; i < 5; ++i)
        add(0, i);
    ASSERT_TRUE(engine->run(rows, {}).ok());
    rows.clear();
    for (uint32_t i = 0; i <= last; ++i) {
        if (i >= 5) add(0, i);
        add(1, i);
    }
    std::vector<float> logits(size_t{2} * vocabulary);
    const auto status = engine->run(rows, logits);
    ASSERT_TRUE(status.ok()) << test::message_of(status.error());
    const Json &expected = expected_.at("logits").at(std::to_string(last));
    for (const size_t row : {0, 1})
        EXPECT_LT(distance(std::span(logits).subspan(row * vocabulary, vocabulary), expected), 1e-4)
            << "row " << row;
}

// Going back and on again gives what going straight on gives, whatever a model keeps of its past.
TEST_P(Architecture, CutAndContinued) {
    const auto one = session(DType::F32);
    ASSERT_TRUE(one);
    ASSERT_TRUE(one->append(std::span(tokens_).first(17)).ok());
    one->cut(9);
    auto other = tokens_;
    other.resize(15);
    other[12] = (other[12] + 1) % 300;
    ASSERT_TRUE(one->assign(other).ok());
    ASSERT_TRUE(one->assign(tokens_).ok());
    const std::string last = std::to_string(tokens_.size() - 1);
    EXPECT_LT(distance(one->logits(), expected_.at("logits").at(last)), 1e-4);
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

// A session goes on from its file as it would have gone on without.
TEST_P(Architecture, SavedAndRestored) {
    test::TemporaryFolder folder;
    const auto path = folder.path() / "session";
    const size_t at = 3 + std::hash<std::string>{}(std::get<0>(GetParam())) % (tokens_.size() - 6);
    {
        const auto one = session(DType::F32);
        ASSERT_TRUE(one);
        ASSERT_TRUE(one->append(std::span(tokens_).first(at)).ok());
        const auto saved = save_session(*one, path);
        ASSERT_TRUE(saved.ok()) << test::message_of(saved.error());
    }
    const auto other = session(DType::F32);
    ASSERT_TRUE(other);
    const auto restored = restore_session(*other, path);
    ASSERT_TRUE(restored.ok()) << test::message_of(restored.error());
    ASSERT_EQ(other->tokens().size(), at);
    ASSERT_TRUE(other->append(std::span(tokens_).subspan(at)).ok());
    const std::string last = std::to_string(tokens_.size() - 1);
    EXPECT_LT(distance(other->logits(), expected_.at("logits").at(last)), 1e-4);
}

TEST(LearnedPositions, BoundTheContext) {
    RZ_REQUIRE_SHARED(model, "fixtures/arch/gpt2.gguf");
    EngineOptions options;
    options.context = 513;
    const auto engine = test::load_engine(model, "reference", options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().tag, "bad_option");
    options.context = 512;
    EXPECT_TRUE(test::load_engine(model, "reference", options).ok());
}

class SlidingWindow : public testing::TestWithParam<std::string> {};

// With small batches the layers with a window keep only what it covers; nothing else changes.
TEST_P(SlidingWindow, KeepsOnlyItsPart) {
    RZ_REQUIRE_SHARED(model, "fixtures/arch/" + GetParam() + ".gguf");
    RZ_REQUIRE_BACKEND("cpu");
    constexpr uint32_t kLength = 400;
    std::vector<Token> tokens;
    std::mt19937 random(5);
    for (uint32_t i = 0; i < kLength; ++i)
        tokens.push_back(static_cast<Token>(random() % 300));
    const auto run = [&](uint32_t batch, uint64_t &bytes, std::vector<float> &out) {
        EngineOptions options;
        options.batch = batch;
        options.logit_rows = batch;
        options.key_type = options.value_type = DType::F32;
        RZ_ASSERT_OK(auto engine, test::load_engine(model, "cpu", options));
        bytes = engine->runner().state_bytes();
        RZ_ASSERT_OK(auto session, Session::create(std::move(engine)));
        const auto keep = [&](size_t, std::span<const float> row) {
            out.insert(out.end(), row.begin(), row.end());
        };
        ASSERT_TRUE(session->append(std::span(tokens).first(300), keep).ok());
        session->cut(295); // within the page that is kept for it
        EXPECT_EQ(session->tokens().size(), 295u);
        const size_t vocabulary = session->engine().config().vocabulary;
        out.resize(295 * vocabulary);
        ASSERT_TRUE(session->append(std::span(tokens).subspan(295), keep).ok());
        session->cut(20); // too far back for a small window
        ASSERT_TRUE(session->assign(std::span(tokens).first(50)).ok());
        keep(0, session->logits());
    };
    uint64_t all_bytes = 0, bytes = 0;
    std::vector<float> all, part;
    run(512, all_bytes, all);
    run(16, bytes, part);
    EXPECT_LT(bytes, all_bytes * 4 / 5);
    ASSERT_EQ(part.size(), all.size());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < all.size(); ++i) {
        difference += std::pow(double{part[i]} - all[i], 2);
        norm += std::pow(double{all[i]}, 2);
    }
    EXPECT_LT(std::sqrt(difference / norm), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, SlidingWindow,
                         testing::Values("cohere2", "gemma2", "gemma3", "gpt-oss"),
                         [](const auto &one) {
                             std::string name = one.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

} // namespace
} // namespace realizar
