// The engine over a device that fails, and over many steps.
#include "core/engine/generate.h"
#include "tests/support/engines.h"

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
                        const PieceCallback &on_piece = nullptr) {
    RZ_ASSIGN(const auto prompt, prompt_tokens(*engine.tokenizer(), "Once upon a time"));
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.max_tokens = tokens;
    options.ignore_end = true;
    return generate(session, prompt, options, on_piece);
}

TEST(VulkanEndurance, ALostDeviceEndsTheRequestAndNothingElse) {
    RZ_REQUIRE_BACKEND("vulkan");
    RZ_REQUIRE_BACKEND("cpu");
    int lost = 0;
    for (int n = 1; n < 64 && lost < 3; ++n) { // the first ones are of loading
        const Variable fail("REALIZAR_VULKAN_FAIL", "submit:" + std::to_string(n));
        auto machine = start("vulkan", 64);
        if (!machine.ok()) {
            EXPECT_EQ(machine.error().code, Code::device_lost) << test::message_of(machine.error());
            continue;
        }
        RZ_ASSERT_OK(const auto session, Session::create(machine.value().engine));
        const auto told = tell(*machine.value().engine, *session, 24);
        ASSERT_FALSE(told.ok());
        EXPECT_EQ(told.error().code, Code::device_lost) << test::message_of(told.error());
        EXPECT_EQ(told.error().tag, "backend_device_lost");
        ++lost;
    }
    EXPECT_EQ(lost, 3);
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

TEST(VulkanEndurance, ManyTokensTakeNoMoreMemory) {
    RZ_REQUIRE_BACKEND("vulkan");
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
    RZ_ASSERT_OK(const Generation story, tell(*machine.engine, *session, kTokens, watch));
    EXPECT_EQ(story.tokens.size(), kTokens);
    RZ_ASSERT_OK(const rz_counters end, device->counters());
    ASSERT_GT(warm.memory_used, 0u);
    EXPECT_EQ(end.memory_used, warm.memory_used);
    EXPECT_EQ(end.memory_peak, warm.memory_peak);
    EXPECT_EQ(end.allocations, warm.allocations);
    EXPECT_GE(end.submissions - warm.submissions, kTokens - kWarm - 1);
}

} // namespace
} // namespace realizar
