// The engine over a device that fails, and over many steps.
#include "core/engine/generate.h"
#include "tests/support/engines.h"

#include <algorithm>
#include <cstdlib>

namespace realizar {
namespace {

// Sets a variable of the environment for as long as it lives.
class Variable {
  public:
    Variable(const char *name, const std::string &value) : name_(name) {
        if (const char *before = std::getenv(name)) before_ = before;
        setenv(name, value.c_str(), 1);
    }
    ~Variable() { before_.empty() ? unsetenv(name_) : setenv(name_, before_.c_str(), 1); }
    Variable(const Variable &) = delete;
    Variable &operator=(const Variable &) = delete;

  private:
    const char *name_;
    std::string before_;
};

// Backends of their own: the environment is read when a driver is made. Without the validation layer,
// which the other tests have: here it is the number of steps that counts.
struct Machine {
    std::unique_ptr<Backends> backends;
    std::shared_ptr<Engine> engine;
};

Result<Machine> start(const std::string &backend, uint32_t context) {
    const Variable validate("REALIZAR_VULKAN_VALIDATE", "0");
    BackendsOptions options;
    options.registry.folders = {std::filesystem::path(REALIZAR_BINARY_DIR) / "plugins"};
    Machine machine;
    RZ_ASSIGN(machine.backends, Backends::open(std::move(options)));
    RZ_ASSIGN(DeviceChoice choice, machine.backends->choose({backend, "", true}));
    RZ_ASSIGN(auto file, GgufFile::open(test::draft_model()));
    EngineOptions engine;
    engine.context = context;
    engine.devices = std::move(choice.devices);
    engine.require_first = true;
    RZ_ASSIGN(machine.engine, Engine::load(std::move(file), engine));
    return machine;
}

Result<Generation> tell(Engine &engine, Session &session, uint32_t tokens,
                        uint32_t per_submission = 0, const PieceCallback &on_piece = nullptr) {
    RZ_ASSIGN(const auto prompt, prompt_tokens(*engine.tokenizer(), "Once upon a time"));
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.max_tokens = tokens;
    options.ignore_end = true;
    options.tokens_per_submission = per_submission;
    return generate(session, prompt, options, on_piece);
}

TEST(VulkanEndurance, ALostDeviceEndsTheRequestAndNothingElse) {
    RZ_REQUIRE_BACKEND("vulkan");
    RZ_REQUIRE_BACKEND("cpu");
    int lost = 0;
    for (int n = 1; n < 64 && lost < 4; ++n) { // the first ones are of loading
        const Variable fail("REALIZAR_VULKAN_FAIL", "submit:" + std::to_string(n));
        auto machine = start("vulkan", 64);
        if (!machine.ok()) {
            EXPECT_EQ(machine.error().code, Code::device_lost) << test::message_of(machine.error());
            continue;
        }
        RZ_ASSERT_OK(const auto session, Session::create(machine.value().engine));
        const auto told = tell(*machine.value().engine, *session, 24, lost % 2 == 0 ? 0 : 2);
        ASSERT_FALSE(told.ok());
        EXPECT_EQ(told.error().code, Code::device_lost) << test::message_of(told.error());
        EXPECT_EQ(told.error().tag, "backend_device_lost");
        ++lost;
    }
    EXPECT_EQ(lost, 4);
    RZ_ASSERT_OK(const Machine elsewhere, start("cpu", 64));
    RZ_ASSERT_OK(const auto session, Session::create(elsewhere.engine));
    RZ_ASSERT_OK(const Generation story, tell(*elsewhere.engine, *session, 8));
    EXPECT_EQ(story.tokens.size(), 8u);
}

TEST(VulkanEndurance, WithoutMemoryTheModelIsRefused) {
    RZ_REQUIRE_BACKEND("vulkan");
    int refused = 0;
    for (int n = 1; n < 200; n += 5) {
        const Variable fail("REALIZAR_VULKAN_FAIL", "alloc:" + std::to_string(n));
        const auto machine = start("vulkan", 64);
        if (machine.ok()) break; // more allocations than loading makes
        EXPECT_EQ(machine.error().code, Code::out_of_memory) << test::message_of(machine.error());
        ++refused;
    }
    EXPECT_GE(refused, 2);
}

// Memory that runs out within an answer, wherever: the request ends with a code, or goes another way, and
// the engine goes on as if nothing had been.
TEST(VulkanEndurance, WithoutMemoryAnAnswerEndsAndTheNextComes) {
    RZ_REQUIRE_BACKEND("vulkan");
    const Variable apart("REALIZAR_VULKAN_DISABLE", "host_memory"); // results have their own memory
    for (const uint32_t per_submission : {0u, 1u, 4u}) {
        RZ_ASSERT_OK(const Machine healthy, start("vulkan", 64));
        const DevicePtr &device = healthy.engine->runner().devices().front();
        RZ_ASSERT_OK(const rz_counters loaded, device->counters());
        RZ_ASSERT_OK(const auto first, Session::create(healthy.engine));
        RZ_ASSERT_OK(const Generation story, tell(*healthy.engine, *first, 12, per_submission));
        RZ_ASSERT_OK(const rz_counters told, device->counters());
        ASSERT_GT(told.allocations, loaded.allocations);
        uint64_t ended = 0;
        for (uint64_t n = loaded.allocations + 1; n <= told.allocations; ++n) {
            SCOPED_TRACE("allocation " + std::to_string(n) + ", " + std::to_string(per_submission) +
                         " tokens per submission");
            const Variable fail("REALIZAR_VULKAN_FAIL", "alloc:" + std::to_string(n));
            RZ_ASSERT_OK(const Machine machine, start("vulkan", 64));
            RZ_ASSERT_OK(const auto session, Session::create(machine.engine));
            const auto out = tell(*machine.engine, *session, 12, per_submission);
            if (out.ok()) {
                EXPECT_EQ(out->tokens, story.tokens);
            } else {
                EXPECT_EQ(out.error().code, Code::out_of_memory) << test::message_of(out.error());
                ++ended;
            }
            RZ_ASSERT_OK(const Generation again, tell(*machine.engine, *session, 12, 0));
            EXPECT_EQ(again.tokens, story.tokens);
        }
        EXPECT_GE(ended, 1u);
    }
}

// No growth of memory, and no allocation, while tokens come `per_submission` at a time.
void many_tokens(uint32_t per_submission) {
    SCOPED_TRACE(per_submission);
    constexpr uint32_t kTokens = 220;
    RZ_ASSERT_OK(const Machine machine, start("vulkan", 300));
    RZ_ASSERT_OK(const auto session, Session::create(machine.engine));
    const DevicePtr &device = machine.engine->runner().devices().front();
    // Recordings of a step differ in buckets of the keys: powers of two.
    constexpr uint32_t kWarm = 140;
    uint32_t count = 0;
    rz_counters warm{};
    const auto watch = [&](const GeneratedPiece &piece) {
        if (piece.token && ++count == kWarm) {
            const auto now = device->counters();
            if (now.ok()) warm = now.value();
        }
        return true;
    };
    RZ_ASSERT_OK(const Generation story,
                 tell(*machine.engine, *session, kTokens, per_submission, watch));
    EXPECT_EQ(story.tokens.size(), kTokens);
    RZ_ASSERT_OK(const rz_counters end, device->counters());
    ASSERT_GT(warm.memory_used, 0u);
    EXPECT_EQ(end.memory_used, warm.memory_used);
    EXPECT_EQ(end.memory_peak, warm.memory_peak);
    EXPECT_EQ(end.allocations, warm.allocations);
    const uint32_t at_once = std::max(per_submission, 1u);
    EXPECT_GE((end.submissions - warm.submissions) * at_once, kTokens - kWarm - at_once);
}

TEST(VulkanEndurance, ManyTokensTakeNoMoreMemory) {
    RZ_REQUIRE_BACKEND("vulkan");
    for (const uint32_t per_submission : {0u, 1u, 8u})
        many_tokens(per_submission);
}

} // namespace
} // namespace realizar
