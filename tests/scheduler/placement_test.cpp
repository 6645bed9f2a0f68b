// Models that are spread over two devices compute what one device computes.
#include "tests/scheduler/partial_engines.h"

#include <algorithm>
#include <cmath>

namespace realizar {
namespace {

using test::PartialBackend;

constexpr Token kTokens[] = {1, 2288, 669, 261, 529, 450, 311, 261, 583};

class Placement : public test::PartialEngines {
  protected:
    Result<std::shared_ptr<Engine>> load(std::vector<DevicePtr> devices,
                                         bool require_first = false) {
        EngineOptions engine = options(std::move(devices));
        engine.require_first = require_first;
        return Engine::load(file_, engine);
    }
    // Logits after kTokens, the prompt in two steps and then single tokens.
    static std::vector<float> logits(const std::shared_ptr<Engine> &engine) {
        const auto session = Session::create(engine);
        EXPECT_TRUE(session.ok());
        EXPECT_TRUE((*session)->append(std::span(kTokens).first(7)).ok());
        for (const Token token : std::span(kTokens).subspan(7))
            EXPECT_TRUE((*session)->append(std::span(&token, 1)).ok());
        return {(*session)->logits().begin(), (*session)->logits().end()};
    }
};

TEST_F(Placement, OneDeviceIsOneRegion) {
    RZ_ASSERT_OK(const auto engine, load({partial_, reference_}));
    ASSERT_EQ(engine->runner().placement().size(), 1u);
    EXPECT_EQ(engine->runner().placement()[0].device, 0u);
    EXPECT_EQ(engine->runner().describe_placement()[0].substr(0, 16), "partial:0 nodes ");
}

TEST_F(Placement, SplitModelsComputeTheSame) {
    RZ_ASSERT_OK(const auto whole, load({reference_}));
    const std::vector<float> expected = logits(whole);
    const std::set<uint32_t> kinds[] = {{RZ_OP_GLU},       {RZ_OP_RMS_NORM, RZ_OP_ROPE},
                                        {RZ_OP_ATTENTION}, {RZ_OP_GET_ROWS},
                                        {RZ_OP_MATMUL},    {RZ_OP_ADD, RZ_OP_KV_WRITE}};
    for (const auto &refused : kinds) {
        SCOPED_TRACE(*refused.begin());
        PartialBackend::refused = refused;
        RZ_ASSERT_OK(const auto engine, load({partial_, reference_}));
        EXPECT_GT(engine->runner().placement().size(), 1u);
        size_t next = 0;
        for (const PlacedRegion &region : engine->runner().placement()) {
            EXPECT_EQ(region.begin, next);
            next = region.end;
        }
        EXPECT_EQ(next, engine->runner().graph(0).nodes().size());
        const std::vector<float> found = logits(engine);
        ASSERT_EQ(found.size(), expected.size());
        // Only what passes between devices is rounded to float32, as on one device.
        double worst = 0;
        for (size_t i = 0; i < found.size(); ++i)
            worst = std::max(worst, std::abs(static_cast<double>(found[i]) - expected[i]));
        EXPECT_LT(worst, 1e-3);
    }
}

TEST_F(Placement, ACacheAndAllThatTouchesItStayTogether) {
    PartialBackend::refused = {RZ_OP_KV_WRITE};
    RZ_ASSERT_OK(const auto engine, load({partial_, reference_}));
    const Graph &graph = engine->runner().graph(0);
    for (const PlacedRegion &region : engine->runner().placement())
        for (size_t i = region.begin; i < region.end; ++i) {
            const uint32_t op = graph.nodes()[i].op;
            if (op == RZ_OP_ATTENTION || op == RZ_OP_KV_WRITE) {
                EXPECT_EQ(region.device, 1u) << "node " << i;
            }
        }
}

TEST_F(Placement, FallbackCanBeRefused) {
    PartialBackend::refused = {RZ_OP_GLU};
    const auto engine = load({partial_, reference_}, true);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().tag, "not_on_device");
    EXPECT_NE(engine.error().message.find("GLU"), std::string::npos) << engine.error().message;
    EXPECT_NE(engine.error().message.find("partial:0"), std::string::npos);
    const auto alone = load({partial_});
    ASSERT_FALSE(alone.ok());
    EXPECT_EQ(alone.error().tag, "not_on_device");
}

TEST_F(Placement, WhatCompileRefusesMovesOn) {
    RZ_ASSERT_OK(const auto whole, load({reference_}));
    const std::vector<float> expected = logits(whole);
    PartialBackend::broken = {RZ_OP_GLU, RZ_OP_ROPE};
    const auto alone = load({partial_}, true);
    ASSERT_FALSE(alone.ok());
    EXPECT_EQ(alone.error().code, Code::unsupported);
    RZ_ASSERT_OK(const auto engine, load({partial_, reference_}));
    size_t moved = 0;
    for (const PlacedRegion &region : engine->runner().placement())
        moved += region.device == 1 ? region.end - region.begin : 0;
    EXPECT_EQ(moved, 2u * 3); // in each of two layers a GLU and two ROPEs
    const std::vector<float> found = logits(engine);
    for (size_t i = 0; i < found.size(); ++i)
        ASSERT_NEAR(found[i], expected[i], 1e-3);
}

TEST_F(Placement, WeightsAndCacheMustFit) {
    // 2.7 MiB of weights, and 64 positions of 2 layers of keys and values: 64 KiB.
    const auto fits = [&](uint64_t free) -> std::string {
        PartialBackend::memory_free = free;
        const auto device = PartialBackend::open(host_);
        EXPECT_TRUE(device.ok());
        const auto engine = load({*device});
        return engine.ok() ? "" : test::message_of(engine.error());
    };
    const std::string error = fits(2u << 20);
    EXPECT_EQ(error.substr(0, 16), "model_too_large:") << error;
    RZ_ASSERT_OK(const auto engine, load({partial_}));
    const Runner &runner = engine->runner();
    const uint64_t needed = runner.weight_bytes() + runner.state_bytes();
    EXPECT_NE(fits(needed - 1), "");
    EXPECT_EQ(fits(needed), "");
}

TEST_F(Placement, AFailedStepCanBeRepeated) {
    RZ_ASSERT_OK(const auto engine, load({partial_}));
    const std::vector<float> expected = logits(engine);
    RZ_ASSERT_OK(const auto session, Session::create(engine));
    ASSERT_TRUE(session->append(std::span(kTokens).first(5)).ok());
    PartialBackend::failing_waits = 1;
    const auto status = session->append(std::span(kTokens).subspan(5));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::out_of_memory);
    EXPECT_NE(status.error().message.find("on purpose"), std::string::npos);
    EXPECT_EQ(session->tokens().size(), 5u);
    ASSERT_TRUE(session->append(std::span(kTokens).subspan(5)).ok());
    for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(session->logits()[i], expected[i], 1e-3);
}

TEST(Backends, ChoiceOfDevices) {
    // Only the two whose place is known: a machine may have GPU drivers, or none.
    const auto labels = [](const DeviceRequest &request) {
        const auto choice = test::backends().choose(request);
        std::string text = choice.ok() ? "" : choice.error().tag;
        if (choice.ok())
            for (const DevicePtr &device : choice->devices)
                if (device->label() == "cpu:0" || device->label() == "reference:0")
                    text += device->label() + " ";
        return text;
    };
    EXPECT_EQ(labels({"reference", "", true}), "reference:0 ");
    EXPECT_EQ(labels({"auto", "reference:0", true}), "reference:0 ");
    EXPECT_EQ(labels({"reference", "0", true}), "reference:0 ");
    EXPECT_EQ(labels({"reference", "1", true}), "no_device");
    EXPECT_EQ(labels({"auto", "no such device", false}), "no_device");
    EXPECT_EQ(labels({"nosuch", "", false}), "no_backend");
    EXPECT_EQ(labels({"cpu", "reference:0", false}), "bad_option");
    RZ_REQUIRE_BACKEND("cpu");
    EXPECT_EQ(labels({"auto", "", false}), "cpu:0 reference:0 ");
    EXPECT_EQ(labels({"cpu", "", true}), "cpu:0 ");
    EXPECT_EQ(labels({"cpu", "0", false}), "cpu:0 reference:0 ");
    EXPECT_EQ(labels({"reference", "", false}), "reference:0 cpu:0 ");
}

TEST(Backends, AnEarlierChoiceIsEnough) {
    RZ_REQUIRE_BACKEND("cpu");
    const auto first = [](const DeviceRequest &request) {
        const auto choice = test::backends().choose(request);
        return choice.ok() ? choice->devices.front()->label() : choice.error().tag;
    };
    EXPECT_EQ(first({"cpu,reference", "", false, {}, {"reference:0"}}), "reference:0");
    EXPECT_EQ(first({"cpu,reference", "", false, {}, {"cpu:0"}}), "cpu:0");
    EXPECT_EQ(first({"cpu,reference", "", false, {}, {"gone:0"}}), "cpu:0"); // it does not count
    // A single device, and what is asked for by name, is no choice.
    for (const DeviceRequest &request :
         {DeviceRequest{"cpu", ""}, DeviceRequest{"all", "cpu:0"}, DeviceRequest{"all", "", true},
          DeviceRequest{"cpu,reference", ""}})
        EXPECT_EQ(test::backends().compared(request), "");
    for (const char *other : {"vulkan", "opencl"}) {
        if (!test::backends().choose({other, "", true}).ok()) continue;
        const std::string text = test::backends().compared({std::string("cpu,") + other, ""});
        EXPECT_NE(text.find("cpu:0|"), std::string::npos) << text;
        EXPECT_NE(text.find(std::string(other) + ":0|"), std::string::npos) << text;
    }
}

TEST(Backends, ThreadsAreLent) {
    test::backends().open_pool();
    std::vector<int> hits(1000, 0);
    test::backends().host().parallel_for(
        hits.size(), 10,
        [](void *context, uint64_t begin, uint64_t end) {
            for (; begin < end; ++begin)
                ++(*static_cast<std::vector<int> *>(context))[begin];
        },
        &hits);
    EXPECT_EQ(hits, std::vector<int>(1000, 1));
}

} // namespace
} // namespace realizar
