// Sessions on disk: what is restored goes on as if nothing had happened, and files that are not whole,
// not ours or of another model change nothing.
#include "core/common/crc32.h"
#include "core/engine/session_file.h"
#include "tests/format/scratch.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace realizar {
namespace {

std::vector<Token> random_tokens(const Engine &engine, uint32_t seed, size_t count) {
    std::mt19937 random(seed);
    std::vector<Token> tokens(count);
    for (Token &token : tokens)
        token = static_cast<Token>(random() % engine.config().vocabulary);
    return tokens;
}

std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }

class SessionFile : public testing::Test {
  protected:
    std::shared_ptr<Engine> load(const std::filesystem::path &model, const char *backend,
                                 EngineOptions options = {}) {
        if (options.context == 0) options.context = 300;
        options.batch = 16;
        options.sequences = 2;
        auto engine = test::load_engine(model, backend, options);
        EXPECT_TRUE(engine.ok()) << test::message_of(engine.error());
        return engine.ok() ? *engine : nullptr;
    }
    static std::unique_ptr<Session> session(const std::shared_ptr<Engine> &engine) {
        auto made = Session::create(engine);
        EXPECT_TRUE(made.ok());
        return std::move(made).value();
    }

    // Saves after `before` tokens and goes on in a new session of another engine.
    void goes_on(const std::filesystem::path &model, const char *backend, size_t before,
                 const EngineOptions &options = {}) {
        const auto first = load(model, backend, options), second = load(model, backend, options);
        ASSERT_TRUE(first && second);
        const auto tokens = random_tokens(*first, static_cast<uint32_t>(before), before + 9);
        const auto one = session(first), other = session(second), third = session(second);
        ASSERT_TRUE(third->append(std::span(tokens).first(2)).ok()); // other pages than in `first`
        const auto head = std::span(tokens).first(before), tail = std::span(tokens).subspan(before);
        ASSERT_TRUE(one->append(head).ok());
        const Status saved = save_session(*one, folder_ / "s");
        ASSERT_TRUE(saved.ok()) << test::message_of(saved.error());
        const Status restored = restore_session(*other, folder_ / "s");
        ASSERT_TRUE(restored.ok()) << test::message_of(restored.error());
        EXPECT_TRUE(std::ranges::equal(other->tokens(), head));
        EXPECT_EQ(copy(other->logits()), copy(one->logits()));
        ASSERT_TRUE(one->append(tail).ok());
        ASSERT_TRUE(other->append(tail).ok());
        EXPECT_EQ(copy(other->logits()), copy(one->logits()));
        // The comparison sees what the tokens before do.
        const auto control = session(first);
        auto changed = tokens;
        changed[0] = (changed[0] + 1) % static_cast<Token>(first->config().vocabulary);
        ASSERT_TRUE(control->append(changed).ok());
        if (before > 0) {
            EXPECT_NE(copy(control->logits()), copy(one->logits()));
        }
    }

    test::ScratchFolder folder_;
};

TEST_F(SessionFile, GoesOn) {
    RZ_REQUIRE_BACKEND("cpu");
    for (const size_t before : {0, 1, 63, 64, 65, 200})
        goes_on(test::draft_model(), "cpu", before);
    EngineOptions options;
    options.key_type = options.value_type = DType::Q8_0;
    goes_on(test::draft_model(), "cpu", 70, options);
}

TEST_F(SessionFile, GoesOnOnVulkan) {
    RZ_REQUIRE_BACKEND("vulkan");
    goes_on(test::draft_model(), "vulkan", 70);
}

// Sliding windows with pages of their own, and recurrent states.
TEST_F(SessionFile, GoesOnInOtherArchitectures) {
    RZ_REQUIRE_BACKEND("cpu");
    for (const char *name : {"gemma2", "gemma3", "mamba", "deepseek2", "gpt-oss"}) {
        SCOPED_TRACE(name);
        RZ_REQUIRE_SHARED(model, std::string("fixtures/arch/") + name + ".gguf");
        EngineOptions options;
        options.context = 1000;
        for (const size_t before : {5, 130, 700})
            goes_on(model, "cpu", before, options);
    }
}

TEST_F(SessionFile, MovesBetweenBackendsAndContexts) {
    RZ_REQUIRE_BACKEND("cpu");
    const auto from = load(test::draft_model(), "cpu"), to = load(test::draft_model(), "reference");
    ASSERT_TRUE(from && to);
    const auto tokens = random_tokens(*from, 3, 21);
    const auto one = session(from), other = session(to);
    ASSERT_TRUE(one->append(std::span(tokens).first(20)).ok());
    ASSERT_TRUE(save_session(*one, folder_ / "s").ok());
    ASSERT_TRUE(restore_session(*other, folder_ / "s").ok());
    ASSERT_TRUE(one->append(std::span(tokens).last(1)).ok());
    ASSERT_TRUE(other->append(std::span(tokens).last(1)).ok());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < one->logits().size(); ++i) {
        difference += std::pow(one->logits()[i] - other->logits()[i], 2);
        norm += std::pow(one->logits()[i], 2);
    }
    EXPECT_LT(std::sqrt(difference / norm), 1e-2); // 8-bit activations on the CPU
    EngineOptions small;
    small.context = 19;
    const auto narrow = load(test::draft_model(), "cpu", small);
    const Status failed = restore_session(*session(narrow), folder_ / "s");
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().tag, "context_full");
}

TEST_F(SessionFile, WrongFilesChangeNothing) {
    RZ_REQUIRE_BACKEND("cpu");
    const auto engine = load(test::draft_model(), "cpu");
    ASSERT_TRUE(engine);
    const auto tokens = random_tokens(*engine, 4, 30);
    const auto one = session(engine), other = session(engine);
    ASSERT_TRUE(one->append(std::span(tokens).first(10)).ok());
    ASSERT_TRUE(save_session(*one, folder_ / "s").ok());
    ASSERT_TRUE(other->append(tokens).ok());
    const auto logits = copy(other->logits());
    const auto tag = [&](const std::string &bytes) {
        folder_.write("t", bytes);
        const Status status = restore_session(*other, folder_ / "t");
        EXPECT_TRUE(std::ranges::equal(other->tokens(), tokens));
        EXPECT_EQ(copy(other->logits()), logits);
        return status.ok() ? "" : status.error().tag;
    };
    const std::string whole = test::read_file(folder_ / "s");
    std::mt19937 random(5);
    for (int i = 0; i < 40; ++i) {
        EXPECT_EQ(tag(whole.substr(0, random() % whole.size())), "bad_session");
        std::string flipped = whole;
        flipped[8 + random() % (whole.size() - 8)] ^= static_cast<char>(1 << random() % 8);
        EXPECT_EQ(tag(flipped), "bad_session");
    }
    EXPECT_EQ(tag(""), "bad_session");
    EXPECT_EQ(tag(whole + "x"), "bad_session");
    EXPECT_EQ(tag("GGUF" + whole.substr(4)), "bad_session");
    // Lies under a checksum that holds.
    const auto sealed = [&](size_t at, auto value) {
        std::string bytes = whole.substr(0, whole.size() - 4);
        std::memcpy(bytes.data() + at, &value, sizeof value);
        const uint32_t crc = Crc32::of(std::as_bytes(std::span(bytes)));
        return bytes + std::string(reinterpret_cast<const char *>(&crc), sizeof crc);
    };
    EXPECT_EQ(tag(sealed(4, 3u)), "unsupported_version");
    EXPECT_EQ(tag(sealed(8, ~uint64_t(0))), "session_mismatch");
    EXPECT_EQ(tag(sealed(16, 0xFFFFFFFFu)), "bad_session");
    EXPECT_EQ(tag(sealed(20, 1u)), "bad_session");
    EXPECT_EQ(tag(sealed(24, 0xFFFFFFFFu)), "bad_session");
    EXPECT_EQ(tag(sealed(24, 0u)), "session_mismatch");
    EXPECT_EQ(tag(sealed(32, -1)), "bad_session");
    EXPECT_EQ(tag(sealed(32, 1 << 30)), "bad_session");

    EngineOptions options;
    options.key_type = DType::F32;
    EXPECT_EQ(restore_session(*session(load(test::draft_model(), "cpu", options)), folder_ / "s")
                  .error()
                  .tag,
              "session_mismatch");
    EXPECT_EQ(restore_session(*other, folder_ / "missing").error().tag, "open_failed");
    EXPECT_EQ(save_session(*one, folder_ / "no/such").error().tag, "write_failed");
}

} // namespace
} // namespace realizar
