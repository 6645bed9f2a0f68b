// Plans of whole models: cut, measured, split by memory, and run in every way with the same result.
#include "tests/scheduler/partial_engines.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include <unistd.h>

namespace realizar {
namespace {

using test::PartialBackend;

class ModelPlans : public test::PartialEngines {
  protected:
    static Result<std::vector<Token>> tell(const std::shared_ptr<Engine> &engine) {
        return PartialEngines::tell(engine, SIZE_MAX, greedy(8));
    }
};

TEST_F(ModelPlans, AtomsAreTheBlocksOfTheModel) {
    EngineOptions engine = options({partial_, reference_});
    engine.placement.by_cost = true;
    RZ_ASSERT_OK(const ModelPlan plan, Engine::plan(file_, engine));
    ASSERT_TRUE(plan.report.by_cost);
    // Embedding; attention and feed-forward network of two layers; the norm and the head belong to
    // what is before them, or are a part of their own.
    EXPECT_GE(plan.report.parts.size(), 5u);
    EXPECT_LE(plan.report.parts.size(), 7u);
    size_t next = 0, with_state = 0;
    for (const PlanPart &part : plan.report.parts) {
        EXPECT_EQ(part.atom.begin, next);
        next = part.atom.end;
        with_state += part.atom.state;
    }
    EXPECT_EQ(with_state, 2u);
    ASSERT_EQ(plan.samples.size(), 2u);
    ASSERT_EQ(plan.report.seconds.size(), 2u);
    for (const double seconds : plan.report.seconds)
        EXPECT_GT(seconds, 0);
}

TEST_F(ModelPlans, CostsAreKeptAndUsedAgain) {
    const auto file = std::filesystem::temp_directory_path() /
                      ("realizar-plan-" + std::to_string(::getpid()) + ".json");
    std::filesystem::remove(file);
    EngineOptions engine = options({partial_, reference_});
    engine.placement.by_cost = true;
    engine.placement.costs = file;
    size_t asked = 0;
    engine.placement.progress = [&](uint64_t, uint64_t) { return ++asked > 0; };
    RZ_ASSERT_OK(const ModelPlan first, Engine::plan(file_, engine));
    EXPECT_GT(asked, 4u);
    for (const PlanPart &part : first.report.parts)
        for (const Cost &cost : part.cost[0])
            EXPECT_GT(cost.runs, 0u) << part.atom.name;
    asked = 0;
    engine.placement.decision = "a name";
    RZ_ASSERT_OK(const ModelPlan second, Engine::plan(file_, engine));
    EXPECT_EQ(asked, 0u); // nothing was measured
    const CostStore kept(file);
    const std::vector<std::string> *chosen = kept.decision("a name");
    ASSERT_NE(chosen, nullptr);
    EXPECT_EQ(*chosen, std::vector<std::string>{"partial:0"});
    EXPECT_EQ(kept.decision("another name"), nullptr);
    EXPECT_EQ(second.report.seconds, first.report.seconds);
    std::filesystem::remove(file);
    engine.placement.progress = [](uint64_t, uint64_t) { return false; };
    const auto cancelled = Engine::plan(file_, engine);
    ASSERT_FALSE(cancelled.ok());
    EXPECT_EQ(cancelled.error().code, Code::cancelled);
}

// What was measured before time or patience ended is kept, and the next call goes on from there.
TEST_F(ModelPlans, MeasuringGoesOnWhereItEnded) {
    const auto file = std::filesystem::temp_directory_path() /
                      ("realizar-partial-" + std::to_string(::getpid()) + ".json");
    std::filesystem::remove(file);
    EngineOptions engine = options({partial_, reference_});
    engine.placement.by_cost = true;
    engine.placement.costs = file;
    size_t asked = 0, patience = 4;
    engine.placement.progress = [&](uint64_t, uint64_t) { return ++asked < patience; };
    ASSERT_FALSE(Engine::plan(file_, engine).ok());
    const CostStore kept(file);
    const std::string identity = device_identity(*partial_, engine.placement.threads);
    EXPECT_NE(kept.find_link(identity), nullptr);
    patience = SIZE_MAX;
    asked = 0;
    RZ_ASSERT_OK(const ModelPlan rest, Engine::plan(file_, engine));
    for (const PlanPart &part : rest.report.parts)
        for (const Cost &cost : part.cost[0])
            EXPECT_GT(cost.runs, 0u) << part.atom.name;
    std::filesystem::remove(file);
}

// The reference is slower by orders of magnitude than the CPU's kernels: a part of the model is enough
// to know.
TEST_F(ModelPlans, AHopelessDeviceIsNotMeasuredToTheEnd) {
    auto choice = test::backends().choose({"cpu", "", true});
    if (!choice.ok()) GTEST_SKIP() << "no CPU backend";
    EngineOptions engine = options({choice->devices.front(), partial_});
    engine.placement.by_cost = true;
    RZ_ASSERT_OK(const ModelPlan plan, Engine::plan(file_, engine));
    size_t unknown = 0, known = 0;
    for (const PlanPart &part : plan.report.parts)
        for (size_t s = 0; s < plan.samples.size(); ++s) {
            EXPECT_GT(part.cost[0][s].runs, 0u) << part.atom.name;
            (part.cost[1][s].runs > 0 ? known : unknown) += 1;
            if (part.cost[1][s].runs > 0) continue;
            EXPECT_GT(part.cost[1][s].seconds, part.cost[0][s].seconds) << part.atom.name;
        }
    EXPECT_GT(known, 0u);
    EXPECT_GT(unknown, 0u);
    for (const Placement &placement : plan.placements)
        for (const PlacedRegion &region : placement)
            EXPECT_EQ(region.device, 0u) << region.reason;
}

// What does not fit moves, no more than that, and the text stays.
TEST_F(ModelPlans, ADeviceThatHoldsHalfTakesHalf) {
    RZ_ASSERT_OK(const auto whole, Engine::load(file_, options({reference_})));
    RZ_ASSERT_OK(const auto expected, tell(whole));
    const uint64_t all = whole->runner().weight_bytes() + whole->runner().state_bytes();
    for (const uint64_t part : {3u, 2u}) {
        EngineOptions engine = options({partial_, reference_});
        engine.placement.memory = {all / part, 0};
        RZ_ASSERT_OK(const auto split, Engine::load(file_, engine));
        uint64_t here = 0, there = 0;
        for (const PlacedRegion &region : split->runner().placement())
            (region.device == 0 ? here : there) += region.end - region.begin;
        EXPECT_GT(here, 0u);
        EXPECT_GT(there, 0u);
        RZ_ASSERT_OK(const auto found, tell(split));
        EXPECT_EQ(found, expected);
    }
    EngineOptions alone = options({partial_});
    alone.placement.memory = {all / 2};
    const auto refused = Engine::load(file_, alone);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().tag, "model_too_large");
    EngineOptions strict = options({partial_, reference_});
    strict.placement.memory = {all / 2};
    strict.require_first = true;
    EXPECT_EQ(Engine::load(file_, strict).error().tag, "model_too_large");
}

// Random placements that keep the rules: each variant its own, nodes of one STATE at one place.
class RandomPlaces {
  public:
    RandomPlaces(std::vector<DevicePtr> devices, uint64_t seed)
        : devices_(std::move(devices)), random_(seed) {}
    Result<std::vector<Placement>> operator()(std::span<const Graph> variants,
                                              const Exclusions &exclusions) {
        RZ_ASSIGN(const Support support, find_support(variants, devices_, exclusions));
        const size_t count = variants.front().nodes().size();
        const size_t mean = 1 + random_() % 40; // nodes of a region
        std::vector<std::vector<size_t>> of_group(variants.size(),
                                                  std::vector<size_t>(count, SIZE_MAX));
        std::vector<std::vector<size_t>> choice(variants.size());
        size_t wanted = 0;
        for (size_t i = 0; i < count; ++i) {
            if (random_() % mean == 0) wanted = random_() % devices_.size();
            const size_t group = support.group[i];
            const bool alone = std::ranges::count(support.group, group) == 1;
            for (size_t v = 0; v < variants.size(); ++v) {
                size_t &device = of_group[alone ? v : 0][group];
                const bool other = alone && v > 0 && random_() % 8 == 0;
                if (device == SIZE_MAX || other) {
                    device = other ? random_() % devices_.size() : wanted;
                    while (!support.runs[device][i])
                        device = (device + 1) % devices_.size();
                }
                choice[v].push_back(device);
            }
        }
        std::vector<Placement> list(variants.size());
        for (size_t i = 0; i < count; ++i) {
            bool cut = i == 0;
            for (size_t v = 0; v < variants.size() && !cut; ++v)
                cut = choice[v][i] != choice[v][i - 1];
            for (size_t v = 0; v < variants.size(); ++v) {
                if (cut) list[v].push_back({i, i, choice[v][i], "by chance"});
                list[v].back().end = i + 1;
            }
        }
        return list;
    }

  private:
    std::vector<DevicePtr> devices_;
    std::mt19937_64 random_;
};

// With $REALIZAR_PLACEMENTS as many as it says, and of the larger built-in model.
TEST_F(ModelPlans, EveryPlacementTellsTheSameStory) {
    const char *many = std::getenv("REALIZAR_PLACEMENTS");
    const int count = many ? std::atoi(many) : 6;
    if (many) {
        RZ_ASSERT_OK(file_, GgufFile::open(std::filesystem::path(REALIZAR_SOURCE_DIR) / "models" /
                                           "fable-21m-q8_0.gguf"));
    }
    std::vector<DevicePtr> devices;
    for (const char *id : {"cpu", "vulkan", "opencl"}) {
        auto choice = test::backends().choose({id, "", true});
        if (choice.ok()) devices.push_back(choice->devices.front());
    }
    if (devices.size() < 2) devices.push_back(reference_);
    std::vector<Token> expected;
    std::set<size_t> regions;
    for (int round = 0; round < count; ++round) {
        SCOPED_TRACE(round);
        EngineOptions engine = options(devices);
        if (round > 0) engine.placement.place = RandomPlaces(devices, static_cast<uint64_t>(round));
        RZ_ASSERT_OK(const auto loaded, Engine::load(file_, engine));
        RZ_ASSERT_OK(const auto found, tell(loaded));
        if (round == 0) expected = found;
        EXPECT_EQ(found, expected);
        regions.insert(loaded->runner().placement().size());
    }
    EXPECT_GT(regions.size(), 2u);
}

} // namespace
} // namespace realizar
