// Tokens that the device chooses: the same as those of the host's sampler, whatever ends the answer.
#include "core/engine/generate.h"
#include "tests/support/engines.h"

#include <algorithm>

namespace realizar {
namespace {

constexpr const char *kPrompt = "Once upon a time there was";

class AheadTest : public testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        RZ_REQUIRE_BACKEND(GetParam());
        EngineOptions options;
        options.context = 64;
        options.batch = 32;
        RZ_ASSERT_OK(engine_, test::load_engine(test::draft_model(), GetParam(), options));
        RZ_ASSERT_OK(session_, Session::create(engine_));
        RZ_ASSERT_OK(prompt_, prompt_tokens(*engine_->tokenizer(), kPrompt));
        options_.max_tokens = 20;
    }
    Generation run(uint32_t tokens_per_submission) {
        options_.tokens_per_submission = tokens_per_submission;
        auto out = generate(*session_, prompt_, options_);
        EXPECT_TRUE(out.ok()) << (out.ok() ? "" : test::message_of(out.error()));
        held_.assign(session_->tokens().begin(), session_->tokens().end());
        return out.ok() ? std::move(out).value() : Generation{};
    }
    // The host's answer, and the device's several at a time.
    void compare(const char *what) {
        SCOPED_TRACE(what);
        const Generation host = run(0);
        const std::vector<Token> held = held_;
        for (const uint32_t n : {1u, 5u}) {
            SCOPED_TRACE(n);
            const Generation device = run(n);
            EXPECT_EQ(device.tokens, host.tokens);
            EXPECT_EQ(device.text, host.text);
            EXPECT_EQ(device.finish_reason, host.finish_reason);
            EXPECT_EQ(device.decode_steps, host.decode_steps);
            EXPECT_EQ(held_, held);
        }
    }
    bool device_chooses() {
        auto sampler = Sampler::create(options_.sampling, engine_->config().vocabulary);
        EXPECT_TRUE(sampler.ok());
        return sampler.ok() && session_->candidates_for(*sampler) > 0;
    }

    std::shared_ptr<Engine> engine_;
    std::unique_ptr<Session> session_;
    std::vector<Token> prompt_, held_;
    GenerateOptions options_;
};

TEST_P(AheadTest, GivesTheTokensOfTheHost) {
    options_.sampling.temperature = 0;
    EXPECT_TRUE(device_chooses());
    compare("greedy");
    EXPECT_EQ(run(64).tokens, run(0).tokens);
    options_.ignore_end = true;
    options_.sampling = {};
    options_.sampling.repeat_penalty = 1;
    std::vector<std::vector<Token>> answers;
    for (uint64_t seed = 1; seed < 5; ++seed) {
        options_.sampling.seed = seed;
        options_.sampling.temperature = 0.5f + 0.3f * static_cast<float>(seed);
        options_.sampling.top_k = seed == 2 ? 300 : 40;
        options_.sampling.top_p = seed == 3 ? 1 : 0.9f;
        options_.sampling.min_p = seed == 4 ? 0 : 0.02f;
        EXPECT_TRUE(device_chooses());
        compare("sampled");
        answers.push_back(run(1).tokens);
    }
    EXPECT_NE(answers[0], answers[1]) << "the draws have no effect";
}

TEST_P(AheadTest, EndsWhereTheHostEnds) {
    options_.sampling.temperature = 0;
    options_.max_tokens = 30;
    options_.ignore_end = true;
    const Generation whole = run(0);
    for (const size_t at : {size_t{0}, size_t{4}, size_t{13}}) {
        options_.stop_tokens = {whole.tokens[at]};
        compare("stop token");
    }
    options_.stop_tokens.clear();
    options_.stop = {whole.text.substr(whole.text.size() / 2, 5)};
    compare("stop string");
    options_.stop.clear();
    for (const uint32_t most : {0u, 1u, 2u, 6u, 7u}) {
        options_.max_tokens = most;
        compare("length");
    }
    options_.max_tokens = 200;
    compare("context");
}

TEST_P(AheadTest, GoesOnAfterWhatItHolds) {
    options_.sampling.temperature = 0;
    options_.max_tokens = 10;
    options_.ignore_end = true;
    const auto go_on = [&](uint32_t n) {
        session_->cut(0);
        Generation first = run(n);
        const std::vector<Token> before = prompt_;
        prompt_.insert(prompt_.end(), first.tokens.begin(), first.tokens.end() - 3);
        const Generation second = run(n);
        prompt_ = before;
        first.tokens.insert(first.tokens.end(), second.tokens.begin(), second.tokens.end());
        return first.tokens;
    };
    const auto host = go_on(0);
    EXPECT_EQ(go_on(1), host);
    EXPECT_EQ(go_on(7), host);
}

TEST_P(AheadTest, SomeSettingsAreTheHosts) {
    const auto chooses_with = [&](auto change) {
        options_.sampling = {};
        change(options_.sampling);
        return device_chooses();
    };
    EXPECT_TRUE(chooses_with([](SamplerParams &) {}));
    EXPECT_TRUE(chooses_with([](SamplerParams &p) { p.top_k = 1024; }));
    EXPECT_FALSE(chooses_with([](SamplerParams &p) { p.top_k = 1025; }));
    EXPECT_FALSE(chooses_with([](SamplerParams &p) { p.top_k = 0; }));
    EXPECT_FALSE(chooses_with([](SamplerParams &p) { p.repeat_penalty = 1.1f; }));
    EXPECT_FALSE(chooses_with([](SamplerParams &p) { p.presence_penalty = 0.5f; }));
    EXPECT_FALSE(chooses_with([](SamplerParams &p) {
        p.temperature = 0;
        p.logit_bias = {{3, -1}};
    }));
    options_.sampling.repeat_penalty = 1.3f; // asked for all the same: the host chooses
    compare("penalties");
}

TEST_P(AheadTest, RefusesWhatItCannotRun) {
    const TokenDraw draw{};
    Token chosen = 0;
    const auto refused = [&](uint32_t candidates, std::span<const TokenDraw> draws,
                             std::span<Token> tokens, Token token) {
        const auto status = engine_->run_ahead(0, token, candidates, draws, tokens);
        return !status.ok() && status.error().code == Code::invalid_argument;
    };
    const std::span<const TokenDraw> draws(&draw, 1);
    const std::span<Token> tokens(&chosen, 1);
    EXPECT_TRUE(refused(1, draws, tokens, 1)) << "nobody has asked for candidates";
    options_.sampling.temperature = 0;
    ASSERT_TRUE(device_chooses());
    EXPECT_TRUE(refused(1, {}, {}, 1));
    EXPECT_TRUE(refused(1, draws, {}, 1));
    EXPECT_TRUE(refused(1, draws, tokens, -1));
    const std::vector<TokenDraw> many(engine_->most_ahead() + 1);
    std::vector<Token> room(many.size());
    EXPECT_TRUE(refused(1, many, room, 1));
    EXPECT_EQ(engine_->length(0), 0u);
    EXPECT_FALSE(refused(1, draws, tokens, 1));
}

#ifndef RZ_AHEAD_BACKENDS
#define RZ_AHEAD_BACKENDS "reference", "cpu"
#endif
INSTANTIATE_TEST_SUITE_P(Backends, AheadTest, testing::Values(RZ_AHEAD_BACKENDS));

} // namespace
} // namespace realizar
