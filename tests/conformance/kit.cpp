// The kit's own tools: the comparator, the tolerances, the runner, the reports.
#include "tools/ctk/judge.h"
#include "tools/ctk/report.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <csignal>
#include <thread>

namespace realizar::ctk {
namespace {

TEST(Compare, FindsOneWrongElement) {
    Random random(1);
    std::vector<double> expected(35), limit(35);
    for (double &value : expected)
        value = random.normal();
    std::fill(limit.begin(), limit.end(), 1e-3);
    const std::vector<int64_t> dims = {5, 7};
    std::vector<double> got = expected;
    EXPECT_TRUE(compare("t", {got, expected, limit, dims, nullptr}).ok());
    const std::vector<double> mistakes = {
        expected[17] + 1.1e-3, expected[17] - 1.1e-3, -expected[17], NAN, HUGE_VAL, -HUGE_VAL};
    for (const double wrong : mistakes) {
        got = expected;
        got[17] = wrong;
        const Status status = compare("t", {got, expected, limit, dims, nullptr});
        ASSERT_FALSE(status.ok()) << wrong;
        EXPECT_NE(status.error().message.find("[2, 3]"), std::string::npos)
            << status.error().message;
    }
    got = expected;
    got[17] = expected[17] + 0.9e-3;
    EXPECT_TRUE(compare("t", {got, expected, limit, dims, nullptr}).ok());
}

TEST(Compare, TreatsNanAndInfinityAsValues) {
    const std::vector<int64_t> dims = {3, 1};
    const std::vector<double> limit(3, 1.0);
    const std::vector<double> strange = {NAN, HUGE_VAL, 1};
    EXPECT_TRUE(compare("t", {strange, strange, limit, dims, nullptr}).ok());
    EXPECT_FALSE(
        compare("t", {std::vector<double>{1, HUGE_VAL, 1}, strange, limit, dims, nullptr}).ok());
    EXPECT_FALSE(
        compare("t", {std::vector<double>{NAN, -HUGE_VAL, 1}, strange, limit, dims, nullptr}).ok());
    const std::set<int64_t> free = {0};
    EXPECT_TRUE(
        compare("t", {std::vector<double>{5, HUGE_VAL, 1}, strange, limit, dims, &free}).ok());
    EXPECT_FALSE(
        compare("t", {std::vector<double>{5, HUGE_VAL, 9}, strange, limit, dims, &free}).ok());
}

// y = x w^T with x rounded to `levels` per block of 32 in each direction (127: what the contract
// allows), computed in F32.
std::vector<double> rounded_matmul(const std::vector<double> &w, const std::vector<double> &x,
                                   size_t rows, size_t depth, double levels) {
    std::vector<double> rounded(x.size()), y;
    for (size_t begin = 0; begin < x.size(); begin += 32) {
        double most = 0;
        for (size_t i = begin; i < begin + 32; ++i)
            most = std::max(most, std::fabs(x[i]));
        const double step = most / levels;
        for (size_t i = begin; i < begin + 32; ++i)
            rounded[i] = step > 0 ? std::round(x[i] / step) * step : 0;
    }
    for (size_t t = 0; t < x.size() / depth; ++t)
        for (size_t n = 0; n < rows; ++n) {
            float sum = 0;
            for (size_t k = 0; k < depth; ++k)
                sum += static_cast<float>(w[n * depth + k] * rounded[t * depth + k]);
            y.push_back(sum);
        }
    return y;
}

// The limit of MATMUL lies between what is allowed and what is too coarse.
TEST(Tolerance, MatmulAdmitsEightBitsOfActivationsAndNoFewer) {
    constexpr int64_t kRows = 96, kDepth = 512, kTokens = 33;
    for (const DType dtype : {DType::Q8_0, DType::Q4_0, DType::F32}) {
        GraphBuilder builder;
        const TensorId w = builder.weight("w", dtype, {kRows, kDepth}, 1);
        const TensorId x = builder.input("x", DType::F32, {kTokens, kDepth});
        const TensorId y = builder.matmul(w, x);
        builder.output(y, "y");
        Region region;
        auto graph = std::move(builder).build();
        ASSERT_TRUE(graph.ok());
        region.graph = std::move(*graph);
        Random random(7);
        Leaves leaves = make_constants(region, random);
        make_inputs(region, {}, random, leaves);
        ReferenceRegion reference(region.graph, 7);
        ASSERT_TRUE(reference.set_constants(leaves).ok());
        ASSERT_TRUE(reference.run({}, leaves).ok());
        const auto judge_levels = [&](double levels) {
            const std::vector<double> got = rounded_matmul(
                reference.value(w).data, reference.value(x).data, kRows, kDepth, levels);
            return compare("y", {got, reference.value(y).data, reference.limits(y),
                                 reference.value(y).dims, nullptr})
                .ok();
        };
        EXPECT_EQ(judge_levels(127), dtype != DType::F32) << dtype_info(dtype).name;
        EXPECT_FALSE(judge_levels(7)) << dtype_info(dtype).name;
        EXPECT_TRUE(judge_levels(1e9)) << dtype_info(dtype).name;
    }
}

// What a graph may be off by grows with what its nodes may be off by.
TEST(Tolerance, GraphLimitComesFromItsNodes) {
    const auto limit_of = [](DType dtype) {
        GraphBuilder builder;
        const TensorId a = builder.weight("a", dtype, {64, 64}, 1);
        const TensorId b = builder.weight("b", dtype, {64, 64}, 2);
        const TensorId x = builder.input("x", DType::F32, {4, 64});
        const TensorId y = builder.matmul(b, builder.unary(UnaryKind::silu, builder.matmul(a, x)));
        builder.output(y, "y");
        Region region;
        region.graph = *std::move(builder).build();
        Random random(3);
        Leaves leaves = make_constants(region, random);
        make_inputs(region, {}, random, leaves);
        ReferenceRegion reference(region.graph, 3);
        EXPECT_TRUE(reference.set_constants(leaves).ok());
        EXPECT_TRUE(reference.run({}, leaves).ok());
        double square = 0, power = 0;
        const std::vector<double> limit = reference.limits(y);
        for (size_t i = 0; i < limit.size(); ++i) {
            square += limit[i] * limit[i];
            power += reference.value(y).data[i] * reference.value(y).data[i];
        }
        return std::sqrt(square / power);
    };
    // kSigmasOfSpread times a few units of F32, and of the 8-bit rounding (about 0.5 %).
    EXPECT_LT(limit_of(DType::F32), 12 * 64 * 0x1p-24);
    EXPECT_GT(limit_of(DType::F32), 12 * 0x1p-24);
    EXPECT_LT(limit_of(DType::Q8_0), 12 * 0.03);
    EXPECT_GT(limit_of(DType::Q8_0), 12 * 0.002);
}

CaseList runner_cases() {
    CaseList cases;
    const auto add = [&](const char *name, std::function<Status(Context &)> run) {
        cases.push_back({0, "suite", "", name, std::move(run)});
    };
    add("pass", [](Context &context) -> Status {
        context.payload = "carried";
        return {};
    });
    add("crash", [](Context &) -> Status {
        std::raise(SIGKILL);
        return {};
    });
    add("fail", [](Context &) -> Status {
        return make_error(Code::internal, "check_failed", "expected 1, found 2");
    });
    add("hang", [](Context &) -> Status {
        std::this_thread::sleep_for(std::chrono::hours(1));
        return {};
    });
    add("exit", [](Context &) -> Status { std::_Exit(3); });
    add("unsupported", [](Context &) -> Status { return unsupported("not here"); });
    add("throws", [](Context &) -> Status { throw std::runtime_error("thrown"); });
    add("again", [](Context &) -> Status { return {}; });
    return cases;
}

TEST(Runner, NamesTheCulpritAndGoesOn) {
    RunnerOptions options;
    options.timeout = std::chrono::milliseconds(1500);
    const auto results = run_cases(runner_cases(), options, [](const CaseResult &) {});
    ASSERT_EQ(results.size(), 8u);
    const Verdict expected[] = {Verdict::pass,  Verdict::crash,       Verdict::fail, Verdict::hang,
                                Verdict::crash, Verdict::unsupported, Verdict::fail, Verdict::pass};
    for (size_t i = 0; i < results.size(); ++i)
        EXPECT_EQ(results[i].verdict, expected[i]) << results[i].name << ": " << results[i].message;
    EXPECT_EQ(results[0].payload, "carried");
    EXPECT_NE(results[1].message.find("SIGKILL"), std::string::npos);
    EXPECT_NE(results[4].message.find("exit code 3"), std::string::npos);
}

TEST(Runner, ReportsACrashAtTheEndOfTheProcess) {
    CaseList cases = {{0, "suite", "", "fine", [](Context &) -> Status {
                           std::atexit([] { std::raise(SIGABRT); });
                           return {};
                       }}};
    const auto results = run_cases(cases, {}, [](const CaseResult &) {});
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].verdict, Verdict::pass);
    EXPECT_EQ(results[1].verdict, Verdict::crash);
}

TEST(Report, EscapesWhatPluginsSay) {
    CaseResult result;
    result.name = "L0/a/b";
    result.verdict = Verdict::fail;
    result.message = "<&\"\x01\xff";
    const std::vector<CaseResult> results = {result};
    const std::string junit = to_junit(results, {});
    EXPECT_NE(junit.find("&lt;&amp;&quot;?"), std::string::npos) << junit;
    const auto json = nlohmann::json::parse(to_json(results, {}), nullptr, false);
    ASSERT_TRUE(json.is_object());
    EXPECT_EQ(json["conformant"], false);
    EXPECT_EQ(json["tests"][0]["verdict"], "FAIL");
}

} // namespace
} // namespace realizar::ctk
