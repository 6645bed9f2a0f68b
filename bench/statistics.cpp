#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace realizar::bench {
namespace {

constexpr uint32_t kResamples = 10000;
constexpr uint64_t kSeed = 20251120;
constexpr double kOutlierScore = 3.5;
constexpr double kMadToDeviation = 1.4826; // of a normal distribution

// Reorders `samples`, which are not empty.
double median_in_place(std::span<double> samples) {
    const size_t n = samples.size();
    const auto upper = samples.begin() + static_cast<ptrdiff_t>(n / 2);
    std::nth_element(samples.begin(), upper, samples.end());
    if (n % 2 == 1) return *upper;
    return (*std::max_element(samples.begin(), upper) + *upper) / 2;
}

using Generator = std::mt19937_64;

// Fills `out` with samples drawn with replacement.
void resample(std::span<const double> samples, std::span<double> out, Generator &generator) {
    std::uniform_int_distribution<size_t> pick(0, samples.size() - 1);
    for (double &value : out)
        value = samples[pick(generator)];
}

Interval central_95(std::vector<double> values) {
    std::ranges::sort(values);
    const auto at = [&](double share) {
        return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
    };
    return {at(0.025), at(0.975)};
}

// How often a random division of all samples separates the medians as far as the given one does.
double permutation_p_value(std::span<const double> base, std::span<const double> candidate) {
    std::vector<double> all(base.begin(), base.end());
    all.insert(all.end(), candidate.begin(), candidate.end());
    const double seen = std::abs(median(candidate) - median(base));
    const double slack = 1e-12 * std::abs(median(all)); // equal differences, rounded differently
    Generator generator(kSeed);
    std::vector<double> left(base.size()), right(candidate.size());
    uint32_t as_far = 0;
    for (uint32_t i = 0; i < kResamples; ++i) {
        std::ranges::shuffle(all, generator);
        std::copy_n(all.begin(), left.size(), left.begin());
        std::copy_n(all.end() - static_cast<ptrdiff_t>(right.size()), right.size(), right.begin());
        as_far += std::abs(median_in_place(right) - median_in_place(left)) >= seen - slack;
    }
    return (as_far + 1.0) / (kResamples + 1.0);
}

Interval ratio_interval(std::span<const double> base, std::span<const double> candidate) {
    Generator generator(kSeed);
    std::vector<double> left(base.size()), right(candidate.size()), ratios(kResamples);
    for (double &ratio : ratios) {
        resample(base, left, generator);
        resample(candidate, right, generator);
        ratio = median_in_place(right) / median_in_place(left);
    }
    return central_95(std::move(ratios));
}

} // namespace

double mean(std::span<const double> samples) {
    if (samples.empty()) return 0;
    return std::accumulate(samples.begin(), samples.end(), 0.0) /
           static_cast<double>(samples.size());
}

double median(std::span<const double> samples) {
    std::vector<double> copy(samples.begin(), samples.end());
    return copy.empty() ? 0 : median_in_place(copy);
}

double standard_deviation(std::span<const double> samples) {
    if (samples.size() < 2) return 0;
    const double center = mean(samples);
    double sum = 0;
    for (const double value : samples)
        sum += (value - center) * (value - center);
    return std::sqrt(sum / static_cast<double>(samples.size() - 1));
}

double coefficient_of_variation(std::span<const double> samples) {
    const double center = mean(samples);
    return center == 0 ? 0 : standard_deviation(samples) / std::abs(center);
}

double percentile(std::span<const double> samples, double percent) {
    if (samples.empty()) return 0;
    std::vector<double> sorted(samples.begin(), samples.end());
    std::ranges::sort(sorted);
    const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
    const auto index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
    return sorted[std::min(index, sorted.size() - 1)];
}

std::vector<double> without_outliers(std::span<const double> samples) {
    const double center = median(samples);
    std::vector<double> distances;
    for (const double value : samples)
        distances.push_back(std::abs(value - center));
    const double scale = kMadToDeviation * median(distances);
    std::vector<double> kept;
    for (const double value : samples)
        if (scale == 0 || std::abs(value - center) <= kOutlierScore * scale) kept.push_back(value);
    return kept;
}

double drift(std::span<const double> samples) {
    const size_t n = samples.size();
    const double center = median(samples);
    if (n < 3 || center == 0) return 0;
    std::vector<double> slopes;
    for (size_t i = 0; i < n; ++i)
        for (size_t j = i + 1; j < n; ++j)
            slopes.push_back((samples[j] - samples[i]) / static_cast<double>(j - i));
    return median_in_place(slopes) * static_cast<double>(n - 1) / center;
}

Interval median_interval(std::span<const double> samples) {
    if (samples.empty()) return {};
    if (samples.size() < 3) return {std::ranges::min(samples), std::ranges::max(samples)};
    Generator generator(kSeed);
    std::vector<double> drawn(samples.size()), medians(kResamples);
    for (double &value : medians) {
        resample(samples, drawn, generator);
        value = median_in_place(drawn);
    }
    return central_95(std::move(medians));
}

const char *verdict_name(Verdict verdict) {
    switch (verdict) {
    case Verdict::slower: return "slower";
    case Verdict::faster: return "faster";
    default: return "same";
    }
}

Comparison compare(std::span<const double> base, std::span<const double> candidate,
                   const ComparisonRule &rule) {
    Comparison result;
    result.ratio = median(candidate) / median(base);
    result.interval = ratio_interval(base, candidate);
    result.p_value = permutation_p_value(base, candidate);
    if (result.p_value < rule.significance && std::abs(result.ratio - 1) >= rule.least_change)
        result.verdict = result.ratio < 1 ? Verdict::slower : Verdict::faster;
    return result;
}

} // namespace realizar::bench
