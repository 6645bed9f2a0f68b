// A device that is lost loses no token: the answer goes on elsewhere as if nothing had happened.
#include "tests/scheduler/partial_engines.h"
#include "tests/support/shared.h"

#include <algorithm>
#include <cmath>

namespace realizar {
namespace {

using test::PartialBackend;
using test::SecondBackend;

class LostDevice : public test::PartialEngines {
  protected:
    Result<std::shared_ptr<Engine>> load(std::vector<DevicePtr> devices, uint32_t sequences = 1,
                                         bool require_first = false) {
        EngineOptions engine = options(std::move(devices), 6);
        engine.require_first = require_first;
        engine.sequences = sequences;
        return Engine::load(file_, engine);
    }
    // 20 tokens after a prompt of nine: two batches and 19 single tokens, so 21 steps. With `ahead` the
    // device chooses so many of them in a submission.
    uint32_t ahead = 0;
    float temperature = 0;
    Result<std::vector<Token>> tell(std::vector<DevicePtr> devices) {
        RZ_ASSIGN(const auto engine, load(std::move(devices)));
        GenerateOptions generation = greedy(20);
        generation.sampling.temperature = temperature;
        generation.sampling.seed = 11;
        generation.sampling.repeat_penalty = 1;
        generation.tokens_per_submission = ahead;
        return PartialEngines::tell(engine, 9, generation);
    }
    // Loses the device after 0, stride, ... submissions of the answer; returns the first number that
    // is not less than all.
    int lose_at(int stride, const std::vector<Token> &expected) {
        for (int k = 0;; k += stride) {
            SCOPED_TRACE(k);
            for (const bool late : {false, true}) {
                PartialBackend::submits_left = k;
                PartialBackend::loses_late = late;
                PartialBackend::lost = false;
                notices_.clear();
                const auto found = tell({partial_, reference_});
                EXPECT_TRUE(found.ok()) << test::message_of(found.error());
                if (!found.ok()) return -1;
                EXPECT_EQ(*found, expected) << (late ? "at the wait" : "at the submission");
                EXPECT_EQ(notices_.size(), PartialBackend::lost ? 1u : 0u);
            }
            if (!PartialBackend::lost) return k;
        }
    }
};

TEST_F(LostDevice, NoTokenIsLostOrChanged) {
    RZ_ASSERT_OK(const auto expected, tell({reference_}));
    ASSERT_EQ(expected.size(), 20u);
    EXPECT_EQ(lose_at(1, expected), 21);
    EXPECT_EQ(notices_.size(), 0u); // the last one was not lost
}

// Those that the device chooses too, from the prompt on: the host then chooses what it would have chosen.
TEST_F(LostDevice, NoChosenTokenIsLostOrChanged) {
    for (const float degrees : {0.0f, 0.9f}) {
        SCOPED_TRACE(degrees);
        temperature = degrees;
        ahead = 0;
        RZ_ASSERT_OK(const auto expected, tell({reference_}));
        ASSERT_EQ(expected.size(), 20u);
        ahead = 5; // which a device that cannot take several steps at once does one by one
        EXPECT_EQ(lose_at(5, expected), 25);
    }
}

// The device that takes over is lost too: while it evaluates what was there, or later.
TEST_F(LostDevice, ASecondOneToo) {
    RZ_ASSERT_OK(const auto expected, tell({reference_}));
    for (const uint32_t at_a_time : {0u, 5u}) {
        ahead = at_a_time;
        for (const int first : {0, 1, 3}) {
            for (const int then : {0, 1, 2, 4}) {
                SCOPED_TRACE(std::to_string(at_a_time) + " " + std::to_string(first) + " " +
                             std::to_string(then));
                reset();
                notices_.clear();
                PartialBackend::submits_left = first;
                SecondBackend::submits_left = then;
                SecondBackend::loses_late = first == 1;
                RZ_ASSERT_OK(const auto found, tell({partial_, second_, reference_}));
                EXPECT_EQ(found, expected);
                EXPECT_TRUE(PartialBackend::lost && SecondBackend::lost);
                EXPECT_GE(notices_.size(), 1u);
            }
        }
    }
}

// One that is gone when its part of the model would be made ready is left out.
TEST_F(LostDevice, BeforeItHasBegun) {
    RZ_ASSERT_OK(const auto expected, tell({reference_}));
    PartialBackend::lost = true;
    RZ_ASSERT_OK(const auto found, tell({partial_, reference_}));
    EXPECT_EQ(found, expected);
    EXPECT_FALSE(load({partial_}).ok());
    EXPECT_FALSE(load({partial_, reference_}, 1, true).ok());
    // Both: the second while it replaces the first.
    reset();
    PartialBackend::submits_left = 4;
    RZ_ASSERT_OK(const auto engine, load({partial_, second_, reference_}));
    SecondBackend::lost = true;
    notices_.clear();
    RZ_ASSERT_OK(const auto rest, PartialEngines::tell(engine, 9, greedy(20)));
    EXPECT_EQ(rest, expected);
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_EQ(notices_[0],
              "partial:0 was lost; second:0 was lost; the model goes on with reference:0");
}

TEST_F(LostDevice, InTheMiddleOfAStepToo) {
    RZ_ASSERT_OK(const auto expected, tell({reference_}));
    PartialBackend::refused = {RZ_OP_GLU}; // so its part is three regions, others between them
    EXPECT_EQ(lose_at(7, expected), 63);
}

TEST_F(LostDevice, IsNamed) {
    PartialBackend::submits_left = 3;
    ASSERT_TRUE(tell({partial_, reference_}).ok());
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_EQ(notices_[0], "partial:0 was lost; the model goes on with reference:0");
}

TEST_F(LostDevice, WithoutAnotherOneIsAnError) {
    RZ_ASSERT_OK(const auto engine, load({partial_}));
    RZ_ASSERT_OK(const auto session, Session::create(engine));
    const Token tokens[] = {1, 2288, 669};
    PartialBackend::submits_left = 0;
    for (int i = 0; i < 2; ++i) { // and stays one
        const auto status = session->append(tokens);
        ASSERT_FALSE(status.ok());
        EXPECT_NE(status.error().code, Code::internal) << test::message_of(status.error());
    }
    PartialBackend::reset();
    RZ_ASSERT_OK(const auto strict, load({partial_, reference_}, 1, true));
    RZ_ASSERT_OK(const auto pinned, Session::create(strict));
    PartialBackend::submits_left = 0;
    const auto status = pinned->append(tokens);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::device_lost);
    EXPECT_NE(status.error().message.find("falling back was refused"), std::string::npos);
}

// All that lives at that time goes on, also what came from a session file.
TEST_F(LostDevice, OtherSequencesGoOn) {
    const std::vector<Token> text = {1, 2288, 669, 261, 529, 450, 311};
    const auto more = [](Session &session) -> std::vector<Token> {
        std::vector<Token> out;
        for (int i = 0; i < 6; ++i) {
            const auto logits = session.logits();
            out.push_back(static_cast<Token>(std::ranges::max_element(logits) - logits.begin()));
            EXPECT_TRUE(session.append(std::span(&out.back(), 1)).ok());
        }
        return out;
    };
    RZ_ASSERT_OK(const auto healthy, load({reference_}, 3));
    RZ_ASSERT_OK(const auto alone, Session::create(healthy));
    ASSERT_TRUE(alone->append(text).ok());
    const std::vector<Token> expected = more(*alone);

    RZ_ASSERT_OK(const auto engine, load({partial_, reference_}, 3));
    RZ_ASSERT_OK(const auto first, Session::create(engine));
    RZ_ASSERT_OK(const auto second, Session::create(engine));
    RZ_ASSERT_OK(const auto third, Session::create(engine));
    ASSERT_TRUE(first->append(text).ok());
    ASSERT_TRUE(second->append(text).ok());
    const auto parts = engine->sequence_parts(second->sequence());
    std::vector<std::byte> data;
    ASSERT_TRUE(engine
                    ->read_sequence(second->sequence(),
                                    [&](std::span<const std::byte> piece) {
                                        data.insert(data.end(), piece.begin(), piece.end());
                                        return Status{};
                                    })
                    .ok());
    ASSERT_TRUE(third->restore(text, second->logits(), {}, parts, data).ok());
    PartialBackend::submits_left = 2;
    EXPECT_EQ(more(*first), expected);
    EXPECT_TRUE(PartialBackend::lost);
    EXPECT_EQ(more(*second), expected);
    EXPECT_EQ(more(*third), expected);
    EXPECT_EQ(notices_.size(), 1u);
}

// Models whose memory is a running state, or a window that has forgotten its beginning.
TEST_F(LostDevice, StatesAndWindowsAreEvaluatedAgain) {
    for (const char *name : {"mamba", "gemma2", "gemma3"}) {
        SCOPED_TRACE(name);
        const auto path = test::shared_path(std::string("fixtures/arch/") + name + ".gguf");
        if (!std::filesystem::exists(path)) continue;
        RZ_ASSERT_OK(file_, GgufFile::open(path));
        const auto logits = [&](std::vector<DevicePtr> devices) -> std::vector<float> {
            const auto engine = load(std::move(devices));
            EXPECT_TRUE(engine.ok()) << test::message_of(engine.error());
            if (!engine.ok()) return {};
            const auto session = Session::create(*engine);
            EXPECT_TRUE(session.ok());
            std::vector<Token> tokens;
            for (Token i = 0; i < 45; ++i)
                tokens.push_back((i * 7 + 3) % 60);
            for (const Token &token : tokens)
                EXPECT_TRUE((*session)->append(std::span(&token, 1)).ok());
            return {(*session)->logits().begin(), (*session)->logits().end()};
        };
        PartialBackend::reset();
        const auto expected = logits({reference_});
        PartialBackend::submits_left = 40;
        const auto found = logits({partial_, reference_});
        EXPECT_TRUE(PartialBackend::lost);
        ASSERT_EQ(found.size(), expected.size());
        for (size_t i = 0; i < found.size(); ++i)
            ASSERT_NEAR(found[i], expected[i], 1e-4 * (1 + std::abs(expected[i])));
    }
}

} // namespace
} // namespace realizar
