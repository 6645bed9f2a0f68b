// Suites: what becomes of a check's figure, and that wrong results are found.
#include "bench/suites/cases.h"
#include "tests/support/engines.h"
#include "tests/support/schema.h"

#include <gtest/gtest.h>

#include <cmath>

namespace realizar::bench {
namespace {

Result<Finding> three(Bed &) { return Finding{3, "as told"}; }
Result<Finding> nothing(Bed &) { return missing("no means"); }
Result<Finding> wrong(Bed &) { return wrong_result("off by one"); }

Check check(Result<Finding> (*run)(Bed &), double target, double limit, bool more) {
    return {"X-001", "something", "x", target, limit, more, Needs::nothing, run};
}

std::string status_of(const Check &one) {
    Bed bed;
    return run_check(one, bed)["status"].get<std::string>();
}

TEST(Suite, AFigureIsNeverBetterThanItIs) {
    EXPECT_EQ(status_of(check(three, 3, 1, true)), "target");
    EXPECT_EQ(status_of(check(three, 4, 3, true)), "pass");
    EXPECT_EQ(status_of(check(three, 5, 4, true)), "below");
    EXPECT_EQ(status_of(check(three, 3, 9, false)), "target");
    EXPECT_EQ(status_of(check(three, 2, 3, false)), "pass");
    EXPECT_EQ(status_of(check(three, 1, 2, false)), "below");
    EXPECT_EQ(status_of(check(nothing, 0, 0, true)), "skip");
    EXPECT_EQ(status_of(check(wrong, 0, 0, true)), "fail");
    Bed bed;
    Check gpu = check(three, 1, 1, true);
    gpu.needs = Needs::gpu;
    bed.no_gpu = "none here";
    const Json row = run_check(gpu, bed);
    EXPECT_EQ(row["status"], "skip");
    EXPECT_EQ(row["note"], "none here");
    EXPECT_TRUE(row["value"].is_null());
    bed.progress = [](const std::string &) { return false; };
    EXPECT_EQ(run_check(gpu, bed)["note"], "the suite was cancelled");
}

TEST(Suite, TablesCountWhatTheyShow) {
    Bed bed;
    Json document = {{"checks", Json::array()}};
    for (const auto &one : {check(three, 3, 1, true), check(nothing, 1, 1, true)})
        document["checks"].push_back(run_check(one, bed));
    const Json counts = count_checks(document["checks"]);
    EXPECT_EQ(counts["target"], 1);
    EXPECT_EQ(counts["skip"], 1);
    EXPECT_EQ(counts["fail"], 0);
    const std::string text = checks_text(document);
    EXPECT_NE(text.find("no means"), std::string::npos);
    EXPECT_NE(text.find("target 1, pass 0, below 0, fail 0, skip 1 of 2"), std::string::npos);
}

// What is there without a device: all of a GPU's checks skip, and say why.
Result<Json> parity_without_devices() {
    Bed bed;
    bed.no_cpu = bed.no_gpu = "there is none";
    Json checks = Json::array();
    for (const auto part : {parity_cpu(), parity_kernels(), parity_models()})
        for (const Check &one : part) {
            Json row = run_check(one, bed);
            checks.push_back(std::move(row));
        }
    Json document = suite_json("parity", bed, environment_json());
    document["counts"] = count_checks(checks);
    document["checks"] = std::move(checks);
    return document;
}

TEST(Suite, WithoutDevicesEveryCheckSkipsAndSaysWhy) {
    const auto document = parity_without_devices();
    ASSERT_TRUE(document.ok()) << test::message_of(document.error());
    EXPECT_EQ((*document)["counts"]["skip"], 30);
    for (const Json &row : (*document)["checks"]) {
        EXPECT_EQ(row["status"], "skip") << row;
        EXPECT_NE(row["note"], "") << row;
    }
}

TEST(Suite, DocumentsAreValidByTheirSchema) {
    if (test::validator_missing()) GTEST_SKIP() << test::kNoValidator;
    constexpr const char *kSchema = "suite-1.0.schema.json";
    auto document = parity_without_devices();
    ASSERT_TRUE(document.ok()) << test::message_of(document.error());
    Bed bed;
    (*document)["checks"].push_back(run_check(check(three, 3, 1, true), bed));
    (*document)["checks"].back()["id"] = "GPU-001";
    EXPECT_EQ(test::schema_errors(*document, kSchema), "");
    Json broken = *document;
    broken["checks"][0]["note"] = "";
    EXPECT_NE(test::schema_errors(broken, kSchema), "") << "a check that is skipped says why";
    broken = *document;
    broken["checks"].back()["value"] = nullptr;
    EXPECT_NE(test::schema_errors(broken, kSchema), "") << "a check that passes has a figure";
    broken = *document;
    broken["suite"] = "crossover";
    EXPECT_NE(test::schema_errors(broken, kSchema), "");
}

TEST(Suite, HasEachCheckOfTheHarnessOnce) {
    std::vector<std::string> found, wanted;
    for (const auto part : {parity_cpu(), parity_kernels(), parity_models()})
        for (const Check &one : part) {
            found.emplace_back(one.id);
            EXPECT_EQ(one.more ? one.target >= one.limit : one.target <= one.limit, true) << one.id;
        }
    for (int i = 1; i <= 5; ++i)
        wanted.push_back(format_text("IMP-%03d", i));
    for (int i = 1; i <= 25; ++i)
        wanted.push_back(format_text("GPU-%03d", i));
    std::ranges::sort(found);
    std::ranges::sort(wanted);
    EXPECT_EQ(found, wanted);
}

class SuiteCases : public testing::Test {
  protected:
    void SetUp() override {
        RZ_ASSERT_OK(const DeviceChoice choice, test::backends().choose({"reference", "", true}));
        bed_.reference = choice.devices.front();
        bed_.seconds = 1e-4;
    }
    Bed bed_;
};

TEST_F(SuiteCases, WrongResultsAreFound) {
    const auto graph = [] { return matmul_graph(3, 64, 5); };
    RZ_ASSERT_OK(Graph made, graph());
    RZ_ASSERT_OK(KernelCase kernel, KernelCase::create(bed_.reference, std::move(made)));
    const auto same = check_output(bed_, kernel, graph, "y");
    ASSERT_TRUE(same.ok()) << test::message_of(same.error());
    EXPECT_LT(*same, 1e-6);
    // Another input than the one that is expected.
    std::vector<float> x(3 * 64);
    for (size_t i = 0; i < x.size(); ++i)
        x[i] = made_up(seed_of("x"), i) + (i == 70 ? 0.2f : 0.0f);
    kernel.set("x", x);
    const auto other = check_output(bed_, kernel, graph, "y");
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().tag, "wrong_result");
}

TEST_F(SuiteCases, TheCacheFindsItsNeedle) {
    for (const DType dtype : {DType::F32, DType::F16})
        for (const bool scattered : {false, true}) {
            const auto times =
                run_cache(bed_, bed_.reference, {150, 192, 2, 32, dtype, scattered}, 40);
            ASSERT_TRUE(times.ok()) << test::message_of(times.error());
            EXPECT_LT(times->distance, 1e-4);
            EXPECT_GT(times->fill, 0);
        }
}

TEST_F(SuiteCases, TheFileIsReadWithoutADevice) {
    bed_.file = nullptr;
    bed_.path = test::draft_model();
    const auto checks = parity_cpu();
    const auto reading = std::ranges::find(checks, std::string("IMP-002"), &Check::id);
    ASSERT_NE(reading, checks.end());
    const Json row = run_check(*reading, bed_);
    EXPECT_TRUE(row["value"].is_number()) << row;
    EXPECT_TRUE(row["device"].is_null()) << row;
}

TEST_F(SuiteCases, RunsOnOneModelDoNotDisturbEachOther) {
    RZ_ASSERT_OK(bed_.file, GgufFile::open(test::draft_model()));
    for (const Workload &work :
         {Workload{3, 0, 0, 1}, Workload{0, 2, 0, 1}, Workload{3, 0, 0, 1}}) {
        const auto row = run_model(bed_, bed_.reference, work, 1);
        ASSERT_TRUE(row.ok()) << test::message_of(row.error());
        EXPECT_GT(row->median(), 0);
    }
}

TEST(SuiteValues, AreSpreadAndTheSameEachTime) {
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < 10000; ++i) {
        const double value = made_up(5, i);
        ASSERT_LE(std::abs(value), 1);
        sum += value;
        squares += value * value;
    }
    EXPECT_NEAR(sum / 10000, 0, 0.03); // 5 deviations of 1/sqrt(3 n)
    EXPECT_NEAR(squares / 10000, 1 / 3.0, 0.015);
    EXPECT_EQ(made_up(5, 3), made_up(5, 3));
    EXPECT_NE(made_up(5, 3), made_up(6, 3));
    const std::vector<float> a = {1, 2}, b = {1, NAN};
    EXPECT_TRUE(std::isinf(distance(b, a)));
    EXPECT_EQ(distance(a, a), 0);
}

} // namespace
} // namespace realizar::bench
