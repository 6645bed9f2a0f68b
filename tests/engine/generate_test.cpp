// The generation loop on the draft model: everything that can end an answer, and its text.
#include "core/engine/generate.h"
#include "core/engine/perplexity.h"
#include "tests/support/engines.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

namespace realizar {
namespace {

constexpr const char *kPrompt = "Once upon a time there was";

class GenerateTest : public testing::Test {
  protected:
    void SetUp() override {
        EngineOptions options;
        options.context = 64;
        options.batch = 32;
        options.logit_rows = 8;
        RZ_ASSERT_OK(engine_, test::load_engine(test::draft_model(), "reference", options));
        RZ_ASSERT_OK(session_, Session::create(engine_));
        RZ_ASSERT_OK(prompt_, prompt_tokens(*engine_->tokenizer(), kPrompt));
        options_.sampling.temperature = 0;
        options_.max_tokens = 12;
    }
    Generation run(const PieceCallback &on_piece = nullptr) {
        auto out = generate(*session_, prompt_, options_, on_piece);
        EXPECT_TRUE(out.ok()) << (out.ok() ? "" : test::message_of(out.error()));
        return out.ok() ? std::move(out).value() : Generation{};
    }

    std::shared_ptr<Engine> engine_;
    std::unique_ptr<Session> session_;
    std::vector<Token> prompt_;
    GenerateOptions options_;
};

TEST_F(GenerateTest, LengthEndsIt) {
    const Generation out = run();
    EXPECT_EQ(out.finish_reason, FinishReason::length);
    EXPECT_EQ(out.tokens.size(), 12u);
    EXPECT_EQ(out.prompt_tokens, prompt_.size());
    EXPECT_EQ(out.cached_tokens, 0u);
    EXPECT_EQ(out.decode_steps, 11u);
    auto all = prompt_;
    all.insert(all.end(), out.tokens.begin(), out.tokens.end());
    EXPECT_EQ(kPrompt + out.text, engine_->tokenizer()->decode(all));
}

TEST_F(GenerateTest, WhatTheSessionHoldsIsNotEvaluatedAgain) {
    const Generation first = run(), again = run();
    EXPECT_EQ(again.tokens, first.tokens);
    EXPECT_EQ(again.cached_tokens, prompt_.size());
}

TEST_F(GenerateTest, NoNewTokens) {
    options_.max_tokens = 0;
    const Generation out = run();
    EXPECT_TRUE(out.tokens.empty());
    EXPECT_EQ(out.text, "");
    EXPECT_EQ(out.finish_reason, FinishReason::length);
}

TEST_F(GenerateTest, PiecesAreTheText) {
    options_.max_tokens = 40;
    options_.sampling.temperature = 1.5f;
    for (uint64_t seed = 0; seed < 8; ++seed) {
        options_.sampling.seed = seed;
        std::string text;
        std::vector<Token> tokens;
        const Generation out = run([&](const GeneratedPiece &piece) {
            text += piece.text;
            if (piece.token) tokens.push_back(*piece.token);
            return true;
        });
        EXPECT_EQ(text, out.text);
        EXPECT_EQ(tokens, out.tokens);
        EXPECT_EQ(run().text, out.text) << "a seed gives one text";
    }
}

TEST_F(GenerateTest, StopStringsAreNotPartOfTheText) {
    const std::string whole = run().text;
    for (const size_t at : {size_t{1}, whole.size() / 2, whole.size() - 4}) {
        const std::string stop = whole.substr(at, 4);
        options_.stop = {stop, "never seen"};
        const Generation out = run();
        EXPECT_EQ(out.finish_reason, FinishReason::stop);
        EXPECT_EQ(out.text, whole.substr(0, whole.find(stop)));
    }
    // A stop string that has only begun when the answer ends is text.
    options_.stop = {whole.substr(whole.size() - 2) + "#"};
    const Generation out = run();
    EXPECT_EQ(out.finish_reason, FinishReason::length);
    EXPECT_EQ(out.text, whole);
}

TEST_F(GenerateTest, StopTokens) {
    const Generation whole = run();
    options_.stop_tokens = {whole.tokens[3]};
    const Generation out = run();
    EXPECT_EQ(out.finish_reason, FinishReason::stop);
    const auto first = std::ranges::find(whole.tokens, whole.tokens[3]);
    EXPECT_EQ(out.tokens, std::vector<Token>(whole.tokens.begin(), first));
}

TEST_F(GenerateTest, EndTokens) {
    const Token end = engine_->tokenizer()->vocabulary().eos.value();
    options_.sampling.logit_bias = {{end, 1000.0f}};
    EXPECT_EQ(run().finish_reason, FinishReason::stop);
    EXPECT_TRUE(run().tokens.empty());
    options_.ignore_end = true;
    const Generation out = run();
    EXPECT_EQ(out.finish_reason, FinishReason::length);
    EXPECT_EQ(out.tokens, std::vector<Token>(12, end));
    EXPECT_EQ(out.text, "");
}

TEST_F(GenerateTest, FullContext) {
    options_.max_tokens = 1000;
    options_.ignore_end = true;
    const Generation stopped = run();
    EXPECT_EQ(stopped.finish_reason, FinishReason::length);
    // The last token is drawn but needs no room.
    EXPECT_EQ(stopped.tokens.size(), engine_->context() - prompt_.size() + 1);

    options_.context_policy = ContextPolicy::slide;
    options_.keep = 4;
    options_.max_tokens = 150;
    const Generation slid = run();
    EXPECT_EQ(slid.tokens.size(), 150u);
    EXPECT_TRUE(std::equal(stopped.tokens.begin(), stopped.tokens.end(), slid.tokens.begin()));
    EXPECT_TRUE(std::equal(prompt_.begin(), prompt_.begin() + 4, session_->tokens().begin()))
        << "the first tokens are kept";

    prompt_.assign(65, 300);
    const auto out = generate(*session_, prompt_, options_);
    ASSERT_FALSE(out.ok());
    EXPECT_EQ(out.error().code, Code::context_full);
}

TEST_F(GenerateTest, TheCallerCancels) {
    int pieces = 0;
    const Generation out = run([&](const GeneratedPiece &) { return ++pieces < 5; });
    EXPECT_EQ(out.finish_reason, FinishReason::cancelled);
    EXPECT_EQ(out.tokens.size(), 5u);
    EXPECT_EQ(pieces, 5) << "nothing comes after the cancellation";
}

TEST_F(GenerateTest, AnotherThreadCancels) {
    options_.max_tokens = UINT32_MAX;
    options_.ignore_end = true;
    options_.context_policy = ContextPolicy::slide;
    std::atomic<int> pieces{0};
    std::thread other([&] {
        while (pieces < 3)
            std::this_thread::yield();
        session_->cancel();
    });
    const Generation out = run([&](const GeneratedPiece &) {
        ++pieces;
        return true;
    });
    other.join();
    EXPECT_EQ(out.finish_reason, FinishReason::cancelled);
    EXPECT_GE(out.tokens.size(), 3u);
    // Before the prompt, too.
    const Generation none = run();
    EXPECT_EQ(none.finish_reason, FinishReason::cancelled);
    EXPECT_TRUE(none.tokens.empty());
    session_->clear_cancel();
    options_.max_tokens = 2;
    EXPECT_EQ(run().tokens.size(), 2u);
}

TEST_F(GenerateTest, EmptyPromptAndBadSamplingAreErrors) {
    EXPECT_EQ(generate(*session_, {}, options_).error().tag, "empty_prompt");
    options_.sampling.top_p = -1;
    EXPECT_EQ(generate(*session_, prompt_, options_).error().code, Code::invalid_argument);
}

TEST_F(GenerateTest, PromptTokensBeginButDoNotEnd) {
    const Vocabulary &vocabulary = engine_->tokenizer()->vocabulary();
    EXPECT_EQ(prompt_.front(), vocabulary.bos.value());
    EXPECT_NE(prompt_.back(), vocabulary.eos.value());
    RZ_ASSERT_OK(const auto bare, prompt_tokens(*engine_->tokenizer(), kPrompt, false));
    EXPECT_EQ(bare, std::vector<Token>(prompt_.begin() + 1, prompt_.end()));
}

TEST_F(GenerateTest, PerplexityIsThatOfTheLogits) {
    const std::string text = "A king had a daughter.\n##\nShe went into the wood and saw a fox.\n";
    PerplexityOptions options;
    options.chunk = 9;
    options.separator = "##";
    RZ_ASSERT_OK(const Perplexity out, perplexity(*session_, text, options));

    const Tokenizer &tokenizer = *engine_->tokenizer();
    std::vector<Token> stream;
    for (const char *document :
         {"A king had a daughter.", "She went into the wood and saw a fox."}) {
        RZ_ASSERT_OK(const auto tokens, tokenizer.encode(document, {false, false}));
        stream.push_back(1);
        stream.insert(stream.end(), tokens.begin(), tokens.end());
        stream.push_back(2);
    }
    const size_t chunks = stream.size() / 9;
    ASSERT_GE(chunks, 2u);
    double sum = 0;
    for (size_t i = 0; i < chunks * 9; ++i) {
        if (i % 9 == 0) continue;
        session_->cut(0);
        ASSERT_TRUE(session_->append(std::span(stream).subspan(i / 9 * 9, i % 9)).ok());
        double total = 0;
        for (const float logit : session_->logits())
            total += std::exp(static_cast<double>(logit));
        sum += std::log(total) - session_->logits()[static_cast<size_t>(stream[i])];
    }
    EXPECT_EQ(out.chunks, chunks);
    EXPECT_EQ(out.tokens, chunks * 8);
    const double expected = std::exp(sum / static_cast<double>(out.tokens));
    EXPECT_NEAR(out.value / expected, 1, 1e-5);

    options.chunk = 65;
    EXPECT_EQ(perplexity(*session_, text, options).error().tag, "bad_option");
    options.chunk = 60;
    EXPECT_EQ(perplexity(*session_, text, options).error().tag, "text_too_short");
    options.chunk = 9;
    options.progress = [](uint32_t, uint32_t) { return false; };
    EXPECT_EQ(perplexity(*session_, text, options).error().code, Code::cancelled);
}

} // namespace
} // namespace realizar
