// Measured costs: what is made of samples, and what is kept of them.
#include "core/scheduler/cost_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>

#include <unistd.h>

namespace realizar {
namespace {

TEST(RobustCost, IsTheMedianWithoutOutliers) {
    const std::vector<double> even = {4, 1, 3, 2}, one = {7}, same = {5, 5, 5};
    EXPECT_DOUBLE_EQ(robust_cost(even).seconds, 2.5);
    EXPECT_DOUBLE_EQ(robust_cost(one).seconds, 7);
    EXPECT_EQ(robust_cost(one).runs, 1u);
    EXPECT_DOUBLE_EQ(robust_cost(same).seconds, 5);
    EXPECT_DOUBLE_EQ(robust_cost(same).spread, 0);

    // 1 ms with a deviation of 1 %, and of 200 runs 20 that something else disturbed.
    std::mt19937_64 random(7);
    std::normal_distribution<double> noise(1e-3, 1e-5);
    std::vector<double> samples;
    for (int i = 0; i < 200; ++i)
        samples.push_back(i % 10 == 0 ? 5e-3 : noise(random));
    const Cost cost = robust_cost(samples);
    EXPECT_NEAR(cost.seconds, 1e-3, 5e-6);
    EXPECT_LE(cost.runs, 180u);
    EXPECT_GE(cost.runs, 170u); // beyond three deviations lie 0.3 %
    EXPECT_NEAR(cost.spread, 1.2533 * 0.01 / std::sqrt(180), 4e-4);
    // The mean would not do.
    const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / 200;
    EXPECT_GT(mean, 1.3e-3);
}

class Store : public testing::Test {
  protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() /
                  ("realizar-costs-" + std::to_string(::getpid()) + "-" +
                   testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::create_directories(folder_);
        file_ = folder_ / "costs.json";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    void write(const std::string &text) const { std::ofstream(file_) << text; }

    std::filesystem::path folder_, file_;
    const std::string old_ = "gpu:0|1.0|build|00|name|driver 1|isa|4|",
                      new_ = "gpu:0|1.0|build|00|name|driver 2|isa|4|",
                      other_ = "gpu:1|1.0|build|01|name|driver 1|isa|4|";
};

TEST_F(Store, KeepsCosts) {
    CostStore store(file_);
    store.put(old_, 0xfedcba9876543210u, "1,1,256", {1.25e-3, 0.01, 12});
    store.put_link(old_, {1e-5, 2e-10, 3e-10});
    ASSERT_TRUE(store.save().ok());
    const CostStore again(file_);
    const Cost *cost = again.find(old_, 0xfedcba9876543210u, "1,1,256");
    ASSERT_NE(cost, nullptr);
    EXPECT_EQ(cost->seconds, 1.25e-3);
    EXPECT_EQ(cost->spread, 0.01);
    EXPECT_EQ(cost->runs, 12u);
    ASSERT_NE(again.find_link(old_), nullptr);
    EXPECT_EQ(again.find_link(old_)->out, 3e-10);
    EXPECT_EQ(again.find(old_, 1, "1,1,256"), nullptr);
    EXPECT_EQ(again.find(old_, 0xfedcba9876543210u, "1,1,512"), nullptr);
    EXPECT_EQ(again.find(new_, 0xfedcba9876543210u, "1,1,256"), nullptr);
    EXPECT_EQ(again.find_link(new_), nullptr);
}

TEST_F(Store, NewDriversReplaceOldCosts) {
    CostStore first(file_), second(file_);
    first.put(old_, 1, "1", {1, 0, 1});
    first.put(other_, 1, "1", {2, 0, 1});
    ASSERT_TRUE(first.save().ok());
    second.put(new_, 1, "1", {3, 0, 1}); // opened before the other one wrote
    ASSERT_TRUE(second.save().ok());
    const CostStore now(file_);
    EXPECT_EQ(now.find(old_, 1, "1"), nullptr);
    ASSERT_NE(now.find(new_, 1, "1"), nullptr);
    ASSERT_NE(now.find(other_, 1, "1"), nullptr);
}

TEST_F(Store, DamagedFilesAreEmpty) {
    const std::string good =
        R"({"version":1,"devices":{"d":{"link":[1,2,3],"costs":{"0000000000000001@1":[1,0,1]}}}})";
    write(good);
    EXPECT_NE(CostStore(file_).find("d", 1, "1"), nullptr); // what the others are variants of
    for (const auto &[from, to] :
         std::vector<std::pair<std::string, std::string>>{{"\"version\":1", "\"version\":2"},
                                                          {"[1,0,1]", "[1,0]"},
                                                          {"[1,0,1]", "[-1,0,1]"},
                                                          {"[1,0,1]", "[1,0,1.5]"},
                                                          {"[1,0,1]", "[\"1\",0,1]"},
                                                          {"[1,0,1]", "[1,null,1]"},
                                                          {"{\"0000", "[{\"0000"},
                                                          {"{\"d\":", "[\"d\","},
                                                          {"}}}}", "}}"}}) {
        SCOPED_TRACE(from + " -> " + to);
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        write(text);
        EXPECT_EQ(CostStore(file_).find("d", 1, "1"), nullptr);
    }
    write(good);
    std::filesystem::permissions(file_, std::filesystem::perms::others_write,
                                 std::filesystem::perm_options::add);
    EXPECT_EQ(CostStore(file_).find("d", 1, "1"), nullptr);
    EXPECT_EQ(CostStore(folder_ / "missing").find("d", 1, "1"), nullptr);
    CostStore nowhere;
    nowhere.put("d", 1, "1", {1, 0, 1});
    EXPECT_TRUE(nowhere.save().ok());
}

} // namespace
} // namespace realizar
