// Long contexts on the CPU: what is far away is seen, and memory stays small.
#include "tests/engine/long_context.h"

#include "tests/format/scratch.h"

namespace realizar {
namespace {

using test::LongContext;

TEST_F(LongContext, NeedlesAreSeen) {
    RZ_REQUIRE_BACKEND("cpu");
    expect_needles("cpu", 131'072);
}

TEST_F(LongContext, PromptOf4096StaysSmall) {
    RZ_REQUIRE_BACKEND("cpu");
    if (!test::kMemoryIsMeasurable) GTEST_SKIP() << "sanitizers use memory of their own";
    const auto engine = load("cpu", 4096);
    ASSERT_TRUE(engine);
    RZ_ASSERT_OK(const auto session, Session::create(engine));
    std::vector<Token> tokens(4096);
    for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = static_cast<Token>(3 + i * 7919 % 4000);
    if (!test::reset_peak_memory()) GTEST_SKIP() << "the kernel does not say the peak memory";
    const uint64_t before = test::peak_memory();
    ASSERT_TRUE(session->append(tokens).ok());
    EXPECT_LT(test::peak_memory() - before, 100'000'000u); // with the cache, 4 MiB
}

TEST_F(LongContext, ContextsOf32768And131072) {
    RZ_REQUIRE_BACKEND("cpu");
    for (const uint32_t context : {32'768u, 131'072u}) {
        const auto engine = load("cpu", context);
        ASSERT_TRUE(engine);
        EXPECT_EQ(engine->context(), context);
        // 2 layers, 2 heads of 64, keys and values in F16.
        EXPECT_EQ(engine->runner().state_bytes(), uint64_t{context} * 2 * 2 * 64 * 2 * 2);
    }
}

} // namespace
} // namespace realizar
