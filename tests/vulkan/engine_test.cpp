// The built-in story model on Vulkan and on the CPU: the same tokens.
#include "core/engine/generate.h"
#include "tests/support/engines.h"

#include <cstdlib>

namespace realizar {
namespace {

// Everything here runs under the validation layer; a message fails the submission after it.
[[maybe_unused]] const int kValidated = setenv("REALIZAR_VULKAN_VALIDATE", "1", 0);

Result<Generation> tell(const std::string &backend, uint32_t tokens) {
    EngineOptions options;
    options.context = 128;
    const auto model =
        std::filesystem::path(REALIZAR_SOURCE_DIR) / "models" / "fable-21m-q8_0.gguf";
    RZ_ASSIGN(auto engine, test::load_engine(model, backend, options));
    RZ_ASSIGN(auto session, Session::create(engine));
    RZ_ASSIGN(const auto prompt,
              prompt_tokens(*engine->tokenizer(), "Once upon a time there was a fox who"));
    GenerateOptions generate_options;
    generate_options.sampling.temperature = 0;
    generate_options.max_tokens = tokens;
    return generate(*session, prompt, generate_options);
}

TEST(VulkanEngine, TellsTheStoryOfTheCpu) {
    RZ_REQUIRE_BACKEND("vulkan");
    RZ_REQUIRE_BACKEND("cpu");
    constexpr uint32_t kTokens = 24;
    RZ_ASSERT_OK(const Generation here, tell("vulkan", kTokens));
    RZ_ASSERT_OK(const Generation there, tell("cpu", kTokens));
    EXPECT_EQ(here.tokens.size(), kTokens);
    EXPECT_EQ(here.text, there.text);
    EXPECT_EQ(here.tokens, there.tokens);
}

} // namespace
} // namespace realizar
