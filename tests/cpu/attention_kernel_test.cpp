// The attention kernels that read the cache in place, against float64.
#include "random.h"

#include <algorithm>
#include <numeric>

namespace realizar::cpu::test {
namespace {

class AttentionKernels : public PerIsa {};

constexpr WeightCase kCaches[] = {{kF32, DType::F32, "F32"},
                                  {kF16, DType::F16, "F16"},
                                  {kQ8_0, DType::Q8_0, "Q8_0"},
                                  {kQ4_0, DType::Q4_0, "Q4_0"}};

// Rows as in a cache, with rows of other heads between them.
struct CacheRows {
    WeightRows rows;
    uint64_t n;
    static constexpr uint64_t kHeads = 3, kHead = 1;

    CacheRows(Random &random, DType dtype, uint64_t count, uint64_t width)
        : rows(random, dtype, count * kHeads, width), n(width) {}
    const uint8_t *data() const { return rows.data() + kHead * rows.stride; }
    int64_t stride() const { return static_cast<int64_t>(kHeads * rows.stride); }
    const float *values(uint64_t row) const {
        return rows.values.data() + (row * kHeads + kHead) * n;
    }
};

std::vector<uint64_t> widths(WeightType type) {
    std::vector<uint64_t> all = {32, 64, 96, 128, 256};
    if (type == kF32 || type == kF16) all.insert(all.end(), {1, 7, 40, 72, 80, 112});
    return all;
}

constexpr uint64_t kQueryCounts[] = {1, 2, 3, 4, 7, 8};
constexpr uint64_t kCounts[] = {1, 5, 16, 63, 64};

TEST_P(AttentionKernels, Scores) {
    for (const WeightCase &cache : kCaches)
        for (const uint64_t width : widths(cache.type))
            for (const uint64_t queries : kQueryCounts)
                for (const uint64_t count : kCounts) {
                    const Floats q = random_floats(random, queries * width);
                    const CacheRows rows(random, cache.dtype, count, width);
                    Floats scores(queries * kAttentionChunk + 1, 7.0f);
                    k.score_keys[cache.type]({q.data(), rows.data(), rows.stride(), scores.data(),
                                              queries, width, count, rows.data(), count});
                    EXPECT_EQ(scores.back(), 7.0f);
                    Floats found;
                    Doubles exact, tolerance;
                    for (uint64_t i = 0; i < queries; ++i)
                        for (uint64_t j = 0; j < count; ++j) {
                            found.push_back(scores[i * kAttentionChunk + j]);
                            double sum = 0, size = 0;
                            for (uint64_t d = 0; d < width; ++d) {
                                const double p = static_cast<double>(q[i * width + d]) *
                                                 static_cast<double>(rows.values(j)[d]);
                                sum += p;
                                size += std::abs(p);
                            }
                            exact.push_back(sum);
                            tolerance.push_back(size * kEpsilon *
                                                (4 + 2 * std::sqrt(static_cast<double>(width))));
                        }
                    ASSERT_LE(worst(found, exact, tolerance), 1)
                        << cache.name << " width " << width << " queries " << queries << " count "
                        << count;
                    if (count > 1) { // control: the keys one further
                        std::rotate(exact.begin(), exact.begin() + 1, exact.end());
                        ASSERT_GT(worst(found, exact, tolerance), 1);
                    }
                }
}

TEST_P(AttentionKernels, Values) {
    for (const WeightCase &cache : kCaches)
        for (const uint64_t width : widths(cache.type))
            for (const uint64_t queries : kQueryCounts)
                for (const uint64_t count : kCounts) {
                    const CacheRows rows(random, cache.dtype, count, width);
                    Floats weights(queries * kAttentionChunk, NAN); // NAN: behind the last key
                    Floats factors = random_floats(random, queries);
                    for (uint64_t i = 0; i < queries; ++i)
                        for (uint64_t j = 0; j < count; ++j)
                            weights[i * kAttentionChunk + j] =
                                std::abs(random_floats(random, 1).front());
                    Floats acc = random_floats(random, queries * width);
                    Doubles exact, tolerance;
                    for (uint64_t i = 0; i < queries; ++i)
                        for (uint64_t d = 0; d < width; ++d) {
                            double sum = static_cast<double>(acc[i * width + d]) *
                                         static_cast<double>(factors[i]);
                            double size = std::abs(sum);
                            for (uint64_t j = 0; j < count; ++j) {
                                const double p =
                                    static_cast<double>(weights[i * kAttentionChunk + j]) *
                                    static_cast<double>(rows.values(j)[d]);
                                sum += p;
                                size += std::abs(p);
                            }
                            exact.push_back(sum);
                            tolerance.push_back(size * kEpsilon *
                                                (4 + 2 * std::sqrt(static_cast<double>(count))));
                        }
                    acc.push_back(7.0f);
                    k.add_values[cache.type]({weights.data(), factors.data(), rows.data(),
                                              rows.stride(), acc.data(), queries, width, count,
                                              nullptr, 0});
                    EXPECT_EQ(acc.back(), 7.0f);
                    acc.pop_back();
                    ASSERT_LE(worst(acc, exact, tolerance), 1)
                        << cache.name << " width " << width << " queries " << queries << " count "
                        << count;
                    exact.back() += 4 * tolerance.back(); // control
                    ASSERT_GT(worst(acc, exact, tolerance), 1);
                }
}

struct Softened {
    Doubles weights, factors, sums, maxima;
};

// In float64, from the scores of a chunk and what was there before.
Softened soften(const Floats &scores, const Floats &max, const Floats &sum, uint64_t count,
                double scale, double softcap, const Floats &slopes, int64_t bias_at) {
    Softened r;
    for (uint64_t i = 0; i < max.size(); ++i) {
        Doubles s;
        for (uint64_t j = 0; j < count; ++j) {
            double x = static_cast<double>(scores[i * kAttentionChunk + j]) * scale;
            if (softcap > 0) x = std::tanh(x / softcap) * softcap;
            if (!slopes.empty())
                x += static_cast<double>(slopes[i]) *
                     static_cast<double>(bias_at + static_cast<int64_t>(j));
            s.push_back(x);
        }
        const double old = static_cast<double>(max[i]);
        const double top = std::max(old, *std::max_element(s.begin(), s.end()));
        const double factor = std::isinf(old) ? 0 : std::exp(old - top);
        double total = static_cast<double>(sum[i]) * factor;
        for (const double x : s) {
            r.weights.push_back(std::exp(x - top));
            total += r.weights.back();
        }
        r.factors.push_back(factor);
        r.sums.push_back(total);
        r.maxima.push_back(top);
    }
    return r;
}

TEST_P(AttentionKernels, Softmax) {
    constexpr uint64_t kQueries = 5;
    for (const uint64_t count : kCounts)
        for (const float softcap : {0.0f, 3.0f})
            for (const bool alibi : {false, true}) {
                Floats scores = random_floats(random, kQueries * kAttentionChunk, 4.0f);
                Floats max = random_floats(random, kQueries, 3.0f), sum(kQueries, 2.5f);
                max[2] = -INFINITY; // the first chunk of this query
                sum[2] = 0.0f;
                Floats slopes, factors(kQueries);
                if (alibi) slopes = random_floats(random, kQueries, 0.01f);
                const Softened exact =
                    soften(scores, max, sum, count, 0.5, static_cast<double>(softcap), slopes, -90);
                k.soften({scores.data(), max.data(), sum.data(), factors.data(), kQueries, count,
                          0.5f, softcap, alibi ? slopes.data() : nullptr, -90});
                Floats weights;
                for (uint64_t i = 0; i < kQueries; ++i)
                    weights.insert(weights.end(), scores.begin() + i * kAttentionChunk,
                                   scores.begin() + i * kAttentionChunk + count);
                // Exponents of size 20 and their function, each in a few units.
                const auto near = [](const Doubles &v) {
                    Doubles t;
                    for (const double x : v)
                        t.push_back(std::abs(x) * 64 * kEpsilon + 1e-37);
                    return t;
                };
                EXPECT_LE(worst(weights, exact.weights, near(exact.weights)), 1) << count;
                EXPECT_LE(worst(factors, exact.factors, near(exact.factors)), 1) << count;
                EXPECT_LE(worst(sum, exact.sums, near(exact.sums)), 1) << count;
                EXPECT_LE(worst(max, exact.maxima, near(exact.maxima)), 1) << count;
                const Softened other =
                    soften(scores, max, sum, count, 0.5, static_cast<double>(softcap), slopes, -90);
                EXPECT_GT(worst(sum, other.sums, near(other.sums)), 1); // control: other scores
            }
}

RZ_PER_ISA(AttentionKernels);

} // namespace
} // namespace realizar::cpu::test
