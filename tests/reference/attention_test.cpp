// KV_WRITE and ATTENTION against numbers computed by hand.
#include "ref_case.h"

#include <algorithm>
#include <random>

namespace realizar {
namespace {

using test::distance;
using test::kExact;
using test::Numbers;
using test::RefCase;

TEST(RefKvWrite, SkipsCellsOutsideTheCache) {
    RefCase c;
    const TensorId cache = c.state(DType::F32, {3, 1, 2}, {0, 0, 7, 7, 0, 0});
    const TensorId rows = c.input({c.symbol(4), 1, 2}, {1, 2, 3, 4, 5, 6, 8, 9});
    const TensorId cells = c.integers({RZ_SYMBOL(0)}, {2, -1, 3, 0});
    const TensorId written = c.b.kv_write(cache, rows, cells);
    EXPECT_EQ(written, cache);
    EXPECT_EQ(c.run(cache), (Numbers{8, 9, 7, 7, 1, 2}));
}

TEST(RefKvWrite, RoundsToTheCachesType) {
    const Numbers row{1.0 / 3, -2049, 65520, 1e-8};
    const auto written = [&](DType dtype) {
        RefCase c;
        const TensorId cache = c.state(dtype, {1, 1, 4}, Numbers(4, 0.0));
        c.b.kv_write(cache, c.input({1, 1, 4}, row), c.integers({1}, {0}));
        return c.run(cache);
    };
    EXPECT_EQ(written(DType::F16), (Numbers{0.333251953125, -2048, INFINITY, 0}));
    EXPECT_EQ(written(DType::F32),
              (Numbers{static_cast<double>(1.0f / 3), -2049, 65520, static_cast<double>(1e-8f)}));
}

// A block whose largest magnitude is 127 has scale 1: the numbers become integers.
TEST(RefKvWrite, RoundsToQ8_0) {
    Numbers row(32, 0.0), expected(32, 0.0);
    const Numbers in{127, -126.6, 0.4, 0.6, -3.49}, out{127, -127, 0, 1, -3};
    std::ranges::copy(in, row.begin());
    std::ranges::copy(out, expected.begin());
    RefCase c;
    const TensorId cache = c.state(DType::Q8_0, {1, 1, 32}, Numbers(32, 0.0));
    c.b.kv_write(cache, c.input({1, 1, 32}, row), c.integers({1}, {0}));
    EXPECT_EQ(c.run(cache), expected);
}

// One query per token over a cache of scalars: head size 1, so scores are products.
struct Scene {
    Numbers q, k, v; // q [T, Hq, 1], k and v [C, Hk, 1]
    Numbers positions, sequences;
    Numbers pages{0, 1, 2, 3}, lengths{4};
    Numbers sinks;
    AttentionParams params;
    int64_t q_heads = 1, kv_heads = 1;
};

Numbers attend(const Scene &s) {
    RefCase c;
    const auto tokens = static_cast<int64_t>(s.positions.size());
    const auto cells = static_cast<int64_t>(s.k.size()) / s.kv_heads;
    const auto count = static_cast<int64_t>(s.lengths.size());
    const TensorId q = c.input({tokens, s.q_heads, 1}, s.q);
    const TensorId k = c.state(DType::F32, {cells, s.kv_heads, 1}, s.k);
    const TensorId v = c.state(DType::F32, {cells, s.kv_heads, 1}, s.v);
    AttentionInputs inputs;
    inputs.positions = c.integers({tokens}, s.positions);
    inputs.sequences = c.integers({tokens}, s.sequences);
    inputs.pages = c.integers({count, static_cast<int64_t>(s.pages.size()) / count}, s.pages);
    inputs.lengths = c.integers({count}, s.lengths);
    const TensorId sinks = s.sinks.empty() ? kNoTensor : c.weight({s.q_heads}, s.sinks);
    return c.run(c.b.attention(q, k, v, inputs, sinks, s.params));
}

const double kLn3 = std::log(3.0);

// Weights 1, 3, 9, ... for keys 0, 1, 2, ...; values are powers of ten, so sums can be read off.
Scene geometric() {
    Scene s;
    s.q = {1};
    s.k = {0, kLn3, 2 * kLn3, 3 * kLn3};
    s.v = {1, 10, 100, 1000};
    s.positions = {2};
    s.sequences = {0};
    return s;
}

TEST(RefAttention, CausalMaskHidesTheFuture) {
    EXPECT_LT(distance(attend(geometric()), {(1 + 30 + 900) / 13.0}), kExact);
    Scene s = geometric();
    s.params.causal = false;
    EXPECT_LT(distance(attend(s), {(1 + 30 + 900 + 27000) / 40.0}), kExact);
    s.lengths = {2};
    EXPECT_LT(distance(attend(s), {31 / 4.0}), kExact);
    s.lengths = {100}; // beyond the page table: only what it maps is there
    EXPECT_LT(distance(attend(s), {(1 + 30 + 900 + 27000) / 40.0}), kExact);
}

TEST(RefAttention, ScaleMultipliesScores) {
    Scene s = geometric();
    s.params.scale = 2;
    EXPECT_LT(distance(attend(s), {(1 + 90 + 8100) / 91.0}), kExact);
}

TEST(RefAttention, WindowKeepsTheNewest) {
    Scene s = geometric();
    s.params.window = 2; // positions 1 and 2
    EXPECT_LT(distance(attend(s), {(10 + 300) / 4.0}), kExact);
    s.params.window = 1;
    EXPECT_LT(distance(attend(s), {100}), kExact);
}

TEST(RefAttention, PagesPermuteAndHide) {
    Scene s = geometric();
    s.pages = {2, 0, 1, 3}; // position 0 lies in cell 2
    EXPECT_LT(distance(attend(s), {(900 + 1 + 30) / 13.0}), kExact);
    s.pages = {0, -1, 2, 3};
    EXPECT_LT(distance(attend(s), {901 / 10.0}), kExact);
    s.pages = {0, 4, 2, 2147483647}; // outside the cache: as not mapped
    EXPECT_LT(distance(attend(s), {901 / 10.0}), kExact);
    s.params.page_size = 2;
    s.pages = {1, 0}; // positions 0, 1, 2 lie in cells 2, 3, 0
    EXPECT_LT(distance(attend(s), {(900 + 27000 + 1) / 37.0}), kExact);
}

TEST(RefAttention, SequencesHaveTheirOwnPages) {
    Scene s = geometric();
    s.q = {1, 1, 1, 1};
    s.positions = {1, 1, 0, 1};
    s.sequences = {0, 1, -1, 2};
    s.pages = {0, 1, 3, 2, 0, 1};
    s.lengths = {2, 1, 0};
    // the third has no sequence, the fourth no key
    EXPECT_LT(distance(attend(s), {31 / 4.0, 1000, 0, 0}), kExact);
}

TEST(RefAttention, UnknownSequencesGiveZeros) {
    Scene s = geometric();
    s.sequences = {1};
    EXPECT_EQ(attend(s), Numbers{0});
}

TEST(RefAttention, HeadsShareKeysInGroups) {
    Scene s = geometric();
    s.q_heads = 4;
    s.kv_heads = 2;
    s.q = {0, 1, 0, 1};
    s.k = {0, kLn3, kLn3, 0}; // cell, head
    s.v = {1, 1000, 10, 2000};
    s.pages = {0, 1};
    s.lengths = {2};
    s.positions = {1};
    // heads 0 and 1 see keys 0, ln 3; heads 2 and 3 see ln 3, 0
    EXPECT_LT(distance(attend(s), {5.5, 31 / 4.0, 1500, 5000 / 4.0}), kExact);
}

TEST(RefAttention, SoftcapBoundsScores) {
    Scene s = geometric();
    s.k = {0, 1000, 0, 0};
    s.positions = {1};
    s.params.softcap = 2; // the second score becomes 2
    const double e = std::exp(2.0);
    EXPECT_LT(distance(attend(s), {(1 + 10 * e) / (1 + e)}), kExact);
    s.k[1] = 1;
    const double f = std::exp(2 * std::tanh(0.5));
    EXPECT_LT(distance(attend(s), {(1 + 10 * f) / (1 + f)}), kExact);
}

// Three heads: n = 2, slopes 2^-4, 2^-8 and between them 2^-2.
TEST(RefAttention, AlibiSlopesForHeadsThatAreNoPowerOfTwo) {
    Scene s = geometric();
    s.q_heads = 3;
    s.q = {0, 0, 0};
    s.positions = {1};
    s.params.alibi_max_bias = 8;
    Numbers expected;
    for (const double slope : {1.0 / 16, 1.0 / 256, 1.0 / 4}) {
        const double w = std::exp(-slope);
        expected.push_back((w + 10) / (w + 1));
    }
    EXPECT_LT(distance(attend(s), expected), kExact);
}

TEST(RefAttention, SinksTakeWeightWithoutValue) {
    Scene s = geometric();
    s.q_heads = 2;
    s.q = {1, 1};
    s.sinks = {0, std::log(87.0)};
    EXPECT_LT(distance(attend(s), {931 / 14.0, 931 / 100.0}), kExact);
    s.lengths = {0};
    EXPECT_EQ(attend(s), (Numbers{0, 0}));
}

TEST(RefAttention, LargeScoresDoNotOverflow) {
    Scene s = geometric();
    s.k = {5000, 5000 + kLn3, -5000, 0};
    s.positions = {1};
    EXPECT_LT(distance(attend(s), {31 / 4.0}), 1e-10); // 5000 + ln 3 has lost digits
}

// Wide heads with another size for values, in a quantised cache, against the plain formula.
TEST(RefAttention, DifferentHeadSizesAndCacheTypes) {
    std::mt19937 random(7);
    std::normal_distribution<double> normal;
    const auto numbers = [&](size_t n) {
        Numbers out(n);
        std::ranges::generate(out, [&] { return normal(random); });
        return out;
    };
    RefCase c;
    const TensorId k = c.state(DType::Q8_0, {4, 1, 32}, Numbers(4 * 32, 0.0));
    const TensorId v = c.state(DType::F16, {4, 1, 5}, Numbers(4 * 5, 0.0));
    const TensorId cells = c.integers({3}, {3, 0, 2});
    const Numbers query = numbers(32);
    c.b.kv_write(k, c.input({3, 1, 32}, numbers(3 * 32)), cells);
    c.b.kv_write(v, c.input({3, 1, 5}, numbers(3 * 5)), cells);
    AttentionInputs inputs;
    inputs.positions = c.integers({1}, {2});
    inputs.sequences = c.integers({1}, {0});
    inputs.pages = c.integers({1, 3}, {3, 0, 2});
    inputs.lengths = c.integers({1}, {3});
    AttentionParams params;
    params.scale = 0.125f;
    const TensorId y = c.b.attention(c.input({1, 1, 32}, query), k, v, inputs, kNoTensor, params);
    const std::vector<Numbers> out = c.run({y, k, v});
    Numbers expected(5, 0.0);
    double sum = 0;
    for (const size_t cell : {3, 0, 2}) {
        const double weight = std::exp(
            0.125 * std::inner_product(query.begin(), query.end(),
                                       out[1].begin() + static_cast<long>(32 * cell), 0.0));
        sum += weight;
        for (size_t d = 0; d < 5; ++d)
            expected[d] += weight * out[2][5 * cell + d];
    }
    for (double &x : expected)
        x /= sum;
    EXPECT_LT(distance(out[0], expected), kExact);
}

} // namespace
} // namespace realizar
