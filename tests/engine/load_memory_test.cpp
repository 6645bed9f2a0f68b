// What loading takes: weights are in memory once, in the file's pages or packed.
#include "tests/format/scratch.h"
#include "tests/support/engines.h"

namespace realizar {
namespace {

TEST(LoadMemory, IsTheFileOnceAndATenth) {
    RZ_REQUIRE_BACKEND("cpu");
    if (!test::kMemoryIsMeasurable) GTEST_SKIP() << "sanitizers use memory of their own";
    const auto path = std::filesystem::path(REALIZAR_SOURCE_DIR) / "models" / "fable-21m-q8_0.gguf";
    EngineOptions options;
    options.context = 64;
    options.batch = 16;
    if (!test::reset_peak_memory()) GTEST_SKIP() << "the kernel does not say the peak memory";
    const uint64_t before = test::peak_memory();
    RZ_ASSERT_OK(const auto engine, test::load_engine(path, "cpu", options));
    std::vector<float> logits(engine->config().vocabulary);
    const BatchRow row{5, 0, 0, true};
    ASSERT_TRUE(engine->run({&row, 1}, logits).ok());
    // Tokenizer, graphs, cache and scratch do not grow with the file.
    constexpr uint64_t kRest = 8 * test::kMiB;
    const uint64_t limit = engine->file().size() / 10 * 11 + kRest;
    EXPECT_LT(test::peak_memory() - before, limit);
    // The limit sees a second copy.
    if (engine->runner().weight_bytes() == 0) return;
    unsigned sum = 0;
    for (const GgufTensor &tensor : engine->file().tensors())
        for (size_t i = 0; i < tensor.data.size(); i += 512)
            sum += static_cast<unsigned>(tensor.data[i]);
    EXPECT_GT(test::peak_memory() - before, limit) << sum;
}

} // namespace
} // namespace realizar
