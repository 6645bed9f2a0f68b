// What is timed beside token work: loads, and the memory that decoding cannot be faster than.
#include "bench/memory_reader.h"
#include "bench/record.h"
#include "bench/step_bytes.h"
#include "bench/workload.h"
#include "tests/support/engines.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace realizar::bench {
namespace {

StopRule exactly(uint32_t runs) {
    StopRule rule;
    rule.least = rule.most = runs;
    rule.budget_s = 0;
    return rule;
}

TEST(Loads, TakeTurnsAndAreFreedBeforeTheNext) {
    std::string order;
    int alive = 0, most = 0;
    const auto loader = [&](const std::string &name) {
        return Loader{name, [&, name]() -> Result<std::shared_ptr<void>> {
                          order += name;
                          most = std::max(most, ++alive);
                          return std::shared_ptr<void>(new int, [&](int *p) {
                              --alive;
                              delete p;
                          });
                      }};
    };
    const Loader loaders[] = {loader("a"), loader("b")};
    auto measured = measure_loads(loaders, exactly(3), {});
    ASSERT_TRUE(measured.ok());
    EXPECT_EQ(order, "abababab") << "once to warm up, then three times";
    EXPECT_EQ(most, 1);
    EXPECT_EQ(alive, 0);
    for (const Measurement &m : measured.value()) {
        EXPECT_EQ(m.work.label(), "load");
        ASSERT_EQ(m.samples.size(), 3u);
        EXPECT_DOUBLE_EQ(m.samples[1], 1e3 / m.step_ms[1]);
        const Json entry = entry_json({}, m, exactly(3));
        EXPECT_GT(entry["metrics"]["cold_start_ms"]["median"].get<double>(), 0);
        EXPECT_TRUE(entry["metrics"]["itl_ms"].is_null());
    }
}

TEST(Loads, WarmUpLastsAsLongAsTheRuleSays) {
    uint32_t loads = 0;
    const Loader loaders[] = {{"a", [&]() -> Result<std::shared_ptr<void>> {
                                   ++loads;
                                   std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                   return std::shared_ptr<void>(std::make_shared<int>());
                               }}};
    StopRule rule = exactly(2);
    rule.warm_up_s = 0.05;
    const auto measured = measure_loads(loaders, rule, {});
    ASSERT_TRUE(measured.ok());
    const Measurement &m = measured->front();
    EXPECT_EQ(m.samples.size(), 2u);
    EXPECT_EQ(m.warm_ups + m.samples.size(), loads);
    EXPECT_GE(m.warm_ups, 1u);
    EXPECT_LE(m.warm_ups, 3u) << "20 ms each are at least 60 then";
}

TEST(Loads, AnErrorEndsThem) {
    const Loader loaders[] = {{"a", []() -> Result<std::shared_ptr<void>> {
                                   return make_error(Code::not_found, "no_file", "there is none");
                               }}};
    const auto measured = measure_loads(loaders, exactly(3), {});
    ASSERT_FALSE(measured.ok());
    EXPECT_EQ(measured.error().tag, "no_file");
    const auto cancelled = measure_loads(loaders, exactly(3), [](const auto &) { return false; });
    ASSERT_FALSE(cancelled.ok());
    EXPECT_EQ(cancelled.error().code, Code::cancelled);
}

TEST(Roof, EveryFormReadsWithAllThreads) {
    MemoryReader reader(3, uint64_t{3} << 20);
    ASSERT_TRUE(reader.ready());
    for (size_t form = 0; form < MemoryReader::forms().size(); ++form)
        for (const uint64_t bytes : {uint64_t{1}, uint64_t{100'001}, uint64_t{30} << 20})
            EXPECT_GT(reader.read(form, bytes), 0);
    for (const double rate : reader.rates(1))
        EXPECT_GT(rate, 0);
}

// Counted by the names of the file's tensors instead of the graph.
TEST(Roof, AStepReadsTheWeightsAndTheCache) {
    EngineOptions options;
    options.context = 64;
    options.sequences = 3;
    RZ_ASSERT_OK(const auto engine, test::load_engine(test::draft_model(), "reference", options));
    uint64_t weights = 0, embedding = 0, row = 0;
    bool output = false;
    for (const GgufTensor &tensor : engine->file().tensors()) {
        weights += tensor.data.size();
        output |= tensor.name == "output.weight";
        if (tensor.name != "token_embd.weight") continue;
        embedding = tensor.data.size();
        row = embedding / engine->config().vocabulary;
    }
    ASSERT_GT(row, 0u);
    if (output) weights -= embedding; // otherwise it is the output matrix too
    uint64_t position = 0;
    for (const SequencePart &part : engine->sequence_parts(0))
        position += part.row_bytes;
    const StepBytes bytes(*engine);
    EXPECT_EQ(bytes.of(1, 0), weights + row + position);
    EXPECT_EQ(bytes.of(3, 9), weights + 3 * (row + 10 * position));
    const Workload work{0, 4, 8, 2};
    EXPECT_DOUBLE_EQ(bytes.mean_of(work),
                     static_cast<double>(weights) +
                         2 * (static_cast<double>(row) + 10.5 * static_cast<double>(position)));
}

TEST(Roof, SharesAreOfTheSameRepetition) {
    Measurement ours, memory;
    ours.work = memory.work = {0, 16, 0, 2};
    ours.samples = {8, 18, 40};
    memory.samples = {10, 20, 50};
    const Json roof = roof_json(4e9, ours, memory);
    EXPECT_DOUBLE_EQ(roof["share"]["median"].get<double>(), 0.8);
    EXPECT_DOUBLE_EQ(roof["share"]["max"].get<double>(), 0.9);
    EXPECT_DOUBLE_EQ(roof["gb_s"].get<double>(), 36) << "18 tokens of two sequences, 9 steps";
    EXPECT_DOUBLE_EQ(roof["memory_gb_s"].get<double>(), 40);
    EXPECT_TRUE(roof_json(4e9, {}, {}).is_null());
}

} // namespace
} // namespace realizar::bench
