// Sessions on the draft model, for each backend: whatever way a sequence comes about, its logits are
// those of evaluating it at once.
#include "core/engine/session.h"
#include "tests/support/engines.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace realizar {
namespace {

// Batches of other sizes may take other kernels with another order of sums, and an 8-bit rounding
// of activations may then fall to the other side.
constexpr double kTolerance = 5e-3;

double distance(std::span<const float> a, std::span<const float> b) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        difference += std::pow(a[i] - b[i], 2);
        norm += std::pow(b[i], 2);
    }
    return std::sqrt(difference / norm);
}

std::vector<Token> random_tokens(uint32_t seed, size_t count) {
    std::mt19937 random(seed);
    std::vector<Token> tokens(count);
    for (Token &token : tokens)
        token = static_cast<Token>(3 + random() % 4000);
    return tokens;
}

class SessionTest : public testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        RZ_REQUIRE_BACKEND(GetParam());
        EngineOptions options;
        options.context = 100;
        options.batch = 16;
        options.sequences = 2;
        options.logit_rows = 5;
        options.key_type = options.value_type = DType::F32;
        RZ_ASSERT_OK(engine_, test::load_engine(test::draft_model(), GetParam(), options));
    }
    std::unique_ptr<Session> session() {
        auto made = Session::create(engine_);
        EXPECT_TRUE(made.ok());
        return std::move(made).value();
    }
    // Logits after `tokens`, evaluated from an empty session.
    std::vector<float> fresh(const std::vector<Token> &tokens) {
        const auto one = session();
        EXPECT_TRUE(one->append(tokens).ok());
        return {one->logits().begin(), one->logits().end()};
    }

    std::shared_ptr<Engine> engine_;
};

TEST_P(SessionTest, PiecesMakeTheSame) {
    const auto tokens = random_tokens(1, 41);
    const auto expected = fresh(tokens);
    ASSERT_EQ(expected.size(), engine_->config().vocabulary);
    for (const size_t piece : {1, 7, 16, 41}) {
        const auto one = session();
        for (size_t at = 0; at < tokens.size(); at += piece)
            ASSERT_TRUE(
                one->append(std::span(tokens).subspan(at, std::min(piece, tokens.size() - at)))
                    .ok());
        EXPECT_LT(distance(one->logits(), expected), kTolerance) << "pieces of " << piece;
    }
    // The comparison sees a sequence that differs in one token.
    auto other = tokens;
    other[20] ^= 1;
    EXPECT_GT(distance(fresh(other), expected), kTolerance);
}

TEST_P(SessionTest, RowsOfAllTokens) {
    const auto tokens = random_tokens(2, 13);
    const auto one = session();
    std::vector<std::vector<float>> rows;
    ASSERT_TRUE(one->append(tokens,
                            [&](size_t index, std::span<const float> row) {
                                ASSERT_EQ(index, rows.size());
                                rows.emplace_back(row.begin(), row.end());
                            })
                    .ok());
    ASSERT_EQ(rows.size(), tokens.size());
    for (const size_t count : {1, 6, 13}) {
        const auto expected = fresh({tokens.begin(), tokens.begin() + static_cast<int>(count)});
        EXPECT_LT(distance(rows[count - 1], expected), kTolerance) << "row " << count - 1;
    }
    EXPECT_TRUE(std::ranges::equal(one->logits(), rows.back()));
}

TEST_P(SessionTest, CutAndAssign) {
    const auto first = random_tokens(3, 30);
    auto second = first;
    second.resize(12);
    for (const Token token : random_tokens(4, 20))
        second.push_back(token);
    const auto one = session();
    ASSERT_TRUE(one->append(first).ok());
    one->cut(12);
    EXPECT_EQ(one->tokens().size(), 12u);
    EXPECT_TRUE(one->logits().empty());

    ASSERT_TRUE(one->assign(second).ok());
    EXPECT_TRUE(std::ranges::equal(one->tokens(), second));
    EXPECT_LT(distance(one->logits(), fresh(second)), kTolerance);

    // A prefix of what is held, the same again, and nothing.
    const std::vector<Token> prefix(second.begin(), second.begin() + 5);
    for (int round = 0; round < 2; ++round) {
        ASSERT_TRUE(one->assign(prefix).ok());
        EXPECT_TRUE(std::ranges::equal(one->tokens(), prefix));
        EXPECT_LT(distance(one->logits(), fresh(prefix)), kTolerance);
    }
    ASSERT_TRUE(one->assign({}).ok());
    EXPECT_TRUE(one->tokens().empty());
    EXPECT_TRUE(one->logits().empty());
}

TEST_P(SessionTest, SequencesDoNotMeet) {
    const auto a = random_tokens(5, 33), b = random_tokens(6, 33);
    const auto alone = fresh(a);
    const auto one = session(), two = session();
    for (size_t i = 0; i < a.size(); i += 3) {
        ASSERT_TRUE(one->append(std::span(a).subspan(i, 3)).ok());
        ASSERT_TRUE(two->append(std::span(b).subspan(i, 3)).ok());
    }
    EXPECT_LT(distance(one->logits(), alone), kTolerance);
    const auto third = Session::create(engine_);
    ASSERT_FALSE(third.ok());
    EXPECT_EQ(third.error().tag, "no_sequence");
}

TEST_P(SessionTest, FullContextChangesNothing) {
    const auto one = session();
    const auto tokens = random_tokens(7, 60);
    ASSERT_TRUE(one->append(tokens).ok());
    const std::vector<float> before(one->logits().begin(), one->logits().end());
    for (int round = 0; round < 2; ++round) {
        const auto status =
            round ? one->assign(random_tokens(9, 101)) : one->append(random_tokens(8, 41));
        ASSERT_FALSE(status.ok());
        EXPECT_EQ(status.error().code, Code::context_full);
        EXPECT_EQ(one->tokens().size(), 60u);
        EXPECT_TRUE(std::ranges::equal(one->logits(), before));
    }
    EXPECT_TRUE(one->append(random_tokens(8, 40)).ok()) << "exactly full is fine";
}

TEST_P(SessionTest, CancellationKeepsWhatThereIs) {
    const auto one = session();
    const auto tokens = random_tokens(10, 40);
    size_t rows = 0;
    const auto status = one->append(tokens, [&](size_t, std::span<const float>) {
        if (++rows == 10) one->cancel();
    });
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::cancelled);
    EXPECT_EQ(one->tokens().size(), 10u) << "two steps of five rows";
    one->clear_cancel();
    ASSERT_TRUE(one->assign(tokens).ok());
    EXPECT_LT(distance(one->logits(), fresh(tokens)), kTolerance);
}

TEST_P(SessionTest, BadRowsAreRefused) {
    std::vector<float> logits(engine_->config().vocabulary);
    const auto tag = [&](BatchRow row) {
        const auto status = engine_->run(std::span(&row, 1), logits);
        return status.ok() ? "" : status.error().tag;
    };
    EXPECT_EQ(tag({5, 1, 0, true}), "bad_batch") << "a gap before position 1";
    EXPECT_EQ(tag({5, 0, 2, true}), "bad_batch") << "there are two sequences";
    EXPECT_EQ(tag({-1, 0, 0, true}), "bad_token");
    EXPECT_EQ(tag({4096, 0, 0, true}), "bad_token");
    EXPECT_EQ(tag({5, 100, 0, true}), "context_full");
    EXPECT_EQ(tag({5, 0, 0, false}), "bad_batch") << "logits for nobody";
    EXPECT_EQ(engine_->run({}, {}).error().tag, "bad_batch");
    EXPECT_EQ(tag({5, 0, 0, true}), "");
}

INSTANTIATE_TEST_SUITE_P(Backends, SessionTest, testing::Values("reference", "cpu"),
                         [](const auto &one) { return std::string(one.param); });

TEST(Engine, OptionsAreChecked) {
    const auto tag = [](auto &&change) {
        EngineOptions options;
        change(options);
        const auto engine = test::load_engine(test::draft_model(), "reference", options);
        return engine.ok() ? "" : engine.error().tag;
    };
    EXPECT_EQ(tag([](EngineOptions &o) { o.batch = 0; }), "bad_option");
    EXPECT_EQ(tag([](EngineOptions &o) { o.batch = 65537; }), "bad_option");
    EXPECT_EQ(tag([](EngineOptions &o) { o.sequences = 0; }), "bad_option");
    EXPECT_EQ(tag([](EngineOptions &o) { o.logit_rows = 513; }), "bad_option");
    EXPECT_EQ(tag([](EngineOptions &o) { o.context = (1u << 24) + 1; }), "bad_option");
    EXPECT_EQ(tag([](EngineOptions &o) {
                  o.context = 1u << 24;
                  o.sequences = 1024;
              }),
              "bad_option");
    EXPECT_EQ(tag([](EngineOptions &) {}), "");
    auto file = GgufFile::open(test::draft_model());
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(Engine::load(*file, {}).error().tag, "no_device");
}

TEST(Engine, LoadingCanBeCancelled) {
    EngineOptions options;
    uint64_t last = 0, all = 0;
    options.progress = [&](uint64_t done, uint64_t total) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, total);
        last = done;
        all = total;
        return done < total / 2;
    };
    const auto engine = test::load_engine(test::draft_model(), "reference", options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Code::cancelled);
    EXPECT_LT(last, all);
}

} // namespace
} // namespace realizar
