// What can be said of a handful of timings: robust summaries, intervals by resampling and a test of
// whether two sets differ. All functions are pure; random numbers come from a fixed seed, so the same
// samples always give the same answer.
//
// Sources: modified z-score by the median absolute deviation (Iglewicz and Hoaglin, How to Detect and
// Handle Outliers, 1993), percentile bootstrap (Efron and Tibshirani, An Introduction to the
// Bootstrap, 1993), permutation test with the (k + 1) / (n + 1) rule (Phipson and Smyth, 2010), slope
// by the median of pairs (Theil 1950, Sen 1968).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace realizar::bench {

struct Interval {
    double low = 0, high = 0;
};

double mean(std::span<const double> samples);               // 0 of nothing
double median(std::span<const double> samples);             // 0 of nothing
double standard_deviation(std::span<const double> samples); // of a sample (n - 1); 0 below two
// Standard deviation over mean; 0 where the mean is 0.
double coefficient_of_variation(std::span<const double> samples);
// Nearest rank: the smallest sample that `percent` per cent of all do not exceed. 0 of nothing.
double percentile(std::span<const double> samples, double percent);

// The samples, in order, whose modified z-score is at most 3.5. All of them where more than half are
// equal (a deviation of 0 says nothing about the rest).
std::vector<double> without_outliers(std::span<const double> samples);

// Change from the first to the last sample along the median slope, as a share of the median: 0.02 is
// 2 % up. 0 below three samples.
double drift(std::span<const double> samples);

// Interval of the median at 95 %, by 10,000 resamples; of the samples' own range below three.
Interval median_interval(std::span<const double> samples);

enum class Verdict { same, slower, faster };
const char *verdict_name(Verdict verdict);

// Rates (larger is better) of a candidate against a base.
struct Comparison {
    double ratio = 1;   // of the medians, candidate over base
    Interval interval;  // of that ratio at 95 %
    double p_value = 1; // two-sided, that medians so different come from one distribution
    Verdict verdict = Verdict::same;
};

struct ComparisonRule {
    double significance = 0.05; // p-values below are differences
    double least_change = 0.02; // smaller differences are no verdict, however certain
};

// Both need at least one sample. With fewer than four samples each, no p-value can fall below 0.05,
// so the verdict stays `same`.
Comparison compare(std::span<const double> base, std::span<const double> candidate,
                   const ComparisonRule &rule = {});

} // namespace realizar::bench
