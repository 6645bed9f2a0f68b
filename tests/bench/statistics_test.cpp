// Statistics on distributions whose answers are known.
#include "bench/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace realizar::bench;

namespace {

// Rates of a machine with noise of `noise` (relative standard deviation) around `rate`.
std::vector<double> rates(double rate, double noise, size_t count, uint64_t seed) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> normal(rate, rate * noise);
    std::vector<double> samples(count);
    for (double &value : samples)
        value = normal(generator);
    return samples;
}

TEST(Statistics, SummariesOfKnownNumbers) {
    const std::vector<double> odd = {9, 1, 5, 3, 7}, even = {4, 1, 3, 2};
    EXPECT_DOUBLE_EQ(median(odd), 5);
    EXPECT_DOUBLE_EQ(median(even), 2.5);
    EXPECT_DOUBLE_EQ(mean(odd), 5);
    EXPECT_DOUBLE_EQ(standard_deviation(odd), std::sqrt(10.0));
    EXPECT_DOUBLE_EQ(coefficient_of_variation(odd), std::sqrt(10.0) / 5);
    EXPECT_DOUBLE_EQ(median({}), 0);
    EXPECT_DOUBLE_EQ(standard_deviation(std::vector<double>{3}), 0);
}

TEST(Statistics, PercentilesAreNearestRanks) {
    std::vector<double> hundred(100);
    for (size_t i = 0; i < hundred.size(); ++i)
        hundred[i] = static_cast<double>(100 - i);
    EXPECT_DOUBLE_EQ(percentile(hundred, 50), 50);
    EXPECT_DOUBLE_EQ(percentile(hundred, 95), 95);
    EXPECT_DOUBLE_EQ(percentile(hundred, 99.9), 100);
    EXPECT_DOUBLE_EQ(percentile(hundred, 0), 1);
    EXPECT_DOUBLE_EQ(percentile(std::vector<double>{4, 2}, 99), 4);
}

TEST(Statistics, OutliersGoAndTheRestStays) {
    std::vector<double> samples = rates(100, 0.01, 50, 1);
    samples.insert(samples.begin() + 20, 40);
    samples.push_back(250);
    const std::vector<double> kept = without_outliers(samples);
    EXPECT_EQ(kept.size(), 50u);
    for (const double value : kept)
        EXPECT_NEAR(value, 100, 5);
    const std::vector<double> equal = {5, 5, 5, 5, 6};
    EXPECT_EQ(without_outliers(equal).size(), 5u) << "no spread, so nothing is far";
}

TEST(Statistics, DriftIsTheChangeOverAllSamples) {
    std::vector<double> falling = rates(100, 0.002, 40, 2);
    for (size_t i = 0; i < falling.size(); ++i)
        falling[i] *= 1 - 0.1 * static_cast<double>(i) / 39;
    falling[7] = 20; // one disturbance does not make a trend
    EXPECT_NEAR(drift(falling), -0.105, 0.01);
    EXPECT_NEAR(drift(rates(100, 0.01, 60, 3)), 0, 0.01);
}

// The interval covers the true median in about 95 of 100 experiments; a bootstrap of 15 samples is
// known to be a little short of it.
TEST(Statistics, IntervalsCoverTheTruth) {
    int covered = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
        const Interval interval = median_interval(rates(100, 0.05, 15, 100 + seed));
        covered += interval.low <= 100 && 100 <= interval.high;
        EXPECT_LT(interval.high - interval.low, 20);
    }
    EXPECT_GE(covered, 34);
}

TEST(Statistics, APlantedRegressionIsFound) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
        const Comparison result =
            compare(rates(100, 0.01, 20, 200 + seed), rates(95, 0.01, 20, 300 + seed));
        EXPECT_EQ(result.verdict, Verdict::slower) << seed;
        EXPECT_LT(result.interval.high, 1);
        EXPECT_NEAR(result.ratio, 0.95, 0.015);
        const Comparison mirrored =
            compare(rates(95, 0.01, 20, 300 + seed), rates(100, 0.01, 20, 200 + seed));
        EXPECT_EQ(mirrored.verdict, Verdict::faster) << seed;
    }
}

TEST(Statistics, NoRegressionIsFoundWhereNoneIs) {
    int wrong = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
        const Comparison result =
            compare(rates(100, 0.03, 20, 400 + seed), rates(100, 0.03, 20, 500 + seed));
        wrong += result.verdict != Verdict::same;
        EXPECT_NEAR(result.ratio, 1, 0.05);
    }
    EXPECT_LE(wrong, 2) << "one in twenty is what the significance allows";
}

TEST(Statistics, SmallDifferencesAndFewSamplesAreNoVerdict) {
    const Comparison small = compare(rates(100, 0.001, 30, 600), rates(99, 0.001, 30, 601));
    EXPECT_LT(small.p_value, 0.01);
    EXPECT_EQ(small.verdict, Verdict::same) << "1 % is below the least change";
    const std::vector<double> three = {100, 101, 102}, other = {50, 51, 52};
    EXPECT_EQ(compare(three, other).verdict, Verdict::same);
}

} // namespace
