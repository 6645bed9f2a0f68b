// What quantised weights and caches cost: perplexity of the story model against its F16 form.
#include "core/engine/perplexity.h"
#include "core/format/quantize_model.h"
#include "tests/models/tiny_model.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <cmath>
#include <fstream>
#include <sstream>

namespace realizar {
namespace {

class Quantized : public testing::Test {
  protected:
    static constexpr uint32_t kChunk = 512, kChunks = 8;

    void SetUp() override { RZ_REQUIRE_BACKEND("cpu"); }

    double perplexity_of(const std::filesystem::path &model, DType cache = DType::F16) {
        EngineOptions options;
        options.context = kChunk;
        options.logit_rows = kChunk;
        options.key_type = options.value_type = cache;
        auto engine = test::load_engine(model, "cpu", options);
        EXPECT_TRUE(engine.ok()) << test::message_of(engine.error());
        const auto session = std::move(Session::create(*engine)).value();
        std::stringstream text;
        text << std::ifstream(test::shared_path("models/heldout.txt")).rdbuf();
        PerplexityOptions perplexity_options;
        perplexity_options.chunk = kChunk;
        perplexity_options.chunks = kChunks;
        perplexity_options.separator = "<|end|>";
        const auto out = perplexity(*session, text.str(), perplexity_options);
        EXPECT_TRUE(out.ok()) << test::message_of(out.error());
        return out->value;
    }
};

TEST_F(Quantized, WeightsAndCachesStayNearF16) {
    RZ_REQUIRE_SHARED(model, "models/fable-21m-f16.gguf");
    RZ_REQUIRE_SHARED(text, "models/heldout.txt");
    const double exact = perplexity_of(model);
    const auto change = [&](double value) { return value / exact - 1; };
    EXPECT_LT(std::fabs(change(perplexity_of(model, DType::Q8_0))), 0.005);
    EXPECT_LT(std::fabs(change(perplexity_of(model, DType::Q4_0))), 0.03);

    const test::TemporaryFolder folder;
    RZ_ASSERT_OK(const auto file, GgufFile::open(model));
    const auto quantized = [&](const char *target) {
        const auto path = folder.path() / "out.gguf";
        const Status status = quantize_model(*file, path, *find_quantize_target(target));
        EXPECT_TRUE(status.ok()) << test::message_of(status.error());
        return change(perplexity_of(path));
    };
    EXPECT_LT(std::fabs(quantized("Q8_0")), 0.001);
    EXPECT_LT(std::fabs(quantized("Q6_K")), 0.01);
    // Negative control: two bits are seen.
    EXPECT_GT(quantized("Q2_K_S"), 0.02);
}

} // namespace
} // namespace realizar
