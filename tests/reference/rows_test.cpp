// The row-by-row operators against numbers computed by hand.
#include "ref_case.h"

namespace realizar {
namespace {

using test::distance;
using test::kExact;
using test::Numbers;
using test::RefCase;

constexpr double kInf = INFINITY, kNaN = NAN;

// Negative control of the comparator that all tests here use.
TEST(Distance, SeesPlantedErrors) {
    const Numbers good{1, -2, 1e6, 0, kInf, kNaN};
    EXPECT_EQ(distance(good, good), 0);
    for (size_t i = 0; i < good.size(); ++i) {
        Numbers bad = good;
        bad[i] = i == 5 ? 0 : bad[i] * (1 + 1e-9) + 1e-9;
        if (i == 4) bad[i] = -kInf;
        EXPECT_GT(distance(bad, good), kExact) << i;
    }
    EXPECT_EQ(distance({1}, {1, 2}), kInf);
    EXPECT_EQ(distance({-1}, {1}), 2); // a sign is an error, whatever the size
}

TEST(RefRows, GetRowsTakesRowsAndZeroesUnknownIds) {
    RefCase c;
    const TensorId table = c.weight({3, 2}, {1, 2, 3, 4, 5, 6});
    const TensorId ids = c.integers({c.symbol(5)}, {2, 0, 3, -1, 1});
    EXPECT_EQ(c.run(c.b.get_rows(table, ids)), (Numbers{5, 6, 1, 2, 0, 0, 0, 0, 3, 4}));
}

TEST(RefRows, MatmulMultipliesByTheTranspose) {
    RefCase c;
    const TensorId w = c.weight({2, 3}, {1, 2, 3, -1, 0, 0.5});
    const TensorId x = c.input({c.symbol(2), 3}, {1, 1, 1, 2, -4, 8});
    EXPECT_EQ(c.run(c.b.matmul(w, x)), (Numbers{6, -0.5, 18, 2}));
}

TEST(RefRows, MatmulOfNoTokensIsEmpty) {
    RefCase c;
    const TensorId x = c.input({c.symbol(0), 3}, {});
    EXPECT_EQ(c.run(c.b.matmul(c.weight({1, 3}, {1, 2, 3}), x)), Numbers{});
}

TEST(RefRows, VectorsOfNoTokensAreEmpty) {
    RefCase c;
    const TensorId x = c.input({c.symbol(0)}, {});
    EXPECT_EQ(c.run(c.b.scale(c.b.add(x, x), 2)), Numbers{});
}

TEST(RefRows, MatmulReadsStridedRows) {
    RefCase c;
    const TensorId x = c.input({2, 4}, {9, 1, 2, 9, 9, 3, 4, 9});
    const TensorId w = c.weight({1, 2}, {10, 1});
    EXPECT_EQ(c.run(c.b.matmul(w, c.b.slice_inner(x, 1, 2))), (Numbers{12, 34}));
}

// 0.1 + 0.2 in doubles: results keep more digits than F32 has.
TEST(RefRows, ArithmeticIsDouble) {
    RefCase c;
    const TensorId x = c.input({1}, {0.1}), y = c.input({1}, {0.2});
    EXPECT_EQ(c.run(c.b.add(x, y))[0], 0.1 + 0.2);
}

TEST(RefRows, AddAndMulRepeatTrailingDimensions) {
    RefCase c;
    const TensorId a = c.input({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    const TensorId row = c.input({2}, {10, 20}), matrix = c.input({2, 2}, {1, 2, 3, 4});
    const auto out = c.run({c.b.add(a, row), c.b.mul(a, matrix), c.b.mul(a, a)});
    EXPECT_EQ(out[0], (Numbers{11, 22, 13, 24, 15, 26, 17, 28}));
    EXPECT_EQ(out[1], (Numbers{1, 4, 9, 16, 5, 12, 21, 32}));
    EXPECT_EQ(out[2], (Numbers{1, 4, 9, 16, 25, 36, 49, 64}));
}

TEST(RefRows, ScaleHasABias) {
    RefCase c;
    EXPECT_EQ(c.run(c.b.scale(c.input({3}, {1, -2, 0}), -0.5f, 3)), (Numbers{2.5, 4, 3}));
}

TEST(RefRows, Norms) {
    RefCase c;
    const TensorId x = c.input({2, 4}, {1, -1, 1, -1, 3, 4, 0, 0});
    const TensorId weight = c.weight({4}, {1, 2, 3, 4}), bias = c.weight({4}, {0, 0, 10, 0});
    const auto out = c.run({c.b.rms_norm(x, kNoTensor, 0), c.b.rms_norm(x, weight, 0),
                            c.b.layer_norm(x, weight, bias, 0.0625f)});
    // mean squares 1 and 25/4; means 0 and 7/4, variances 1 and 25/4 - 49/16 = 51/16
    EXPECT_LT(distance(out[0], {1, -1, 1, -1, 1.2, 1.6, 0, 0}), kExact);
    EXPECT_LT(distance(out[1], {1, -2, 3, -4, 1.2, 3.2, 0, 0}), kExact);
    const double f = 1 / std::sqrt(1 + 0.0625), g = 1 / std::sqrt(51.0 / 16 + 0.0625);
    EXPECT_LT(
        distance(out[2], {f, -2 * f, 10 + 3 * f, -4 * f, 1.25 * g, 4.5 * g, 10 - 5.25 * g, -7 * g}),
        kExact);
}

TEST(RefRows, NormOfZerosIsZero) {
    RefCase c;
    EXPECT_EQ(c.run(c.b.rms_norm(c.input({1, 3}, {0, 0, 0}), kNoTensor, 1e-6f)), Numbers(3, 0.0));
}

struct UnaryCase {
    UnaryKind kind;
    Numbers expected; // of -1.5, 0, 0.5, 3
};

TEST(RefRows, UnaryKindsAndTheirGlu) {
    const UnaryCase cases[] = {
        {UnaryKind::silu, {-0.2736382857095345, 0, 0.3112296656009273, 2.8577223804672998}},
        {UnaryKind::gelu, {-0.10042842301976707, 0, 0.34571400982514394, 2.996362607918227}},
        {UnaryKind::gelu_erf, {-0.10021080190328713, 0, 0.34573123063700656, 2.99595030590511}},
        {UnaryKind::gelu_quick, {-0.10833780155292343, 0, 0.35038843660638014, 2.981928690292214}},
        {UnaryKind::relu, {0, 0, 0.5, 3}},
        {UnaryKind::relu_squared, {0, 0, 0.25, 9}},
        {UnaryKind::sigmoid, {0.18242552380635635, 0.5, 0.6224593312018546, 0.9525741268224334}},
        {UnaryKind::tanh, {-0.9051482536448664, 0, 0.46211715726000974, 0.9950547536867305}},
    };
    for (const UnaryCase &test : cases) {
        SCOPED_TRACE(static_cast<uint32_t>(test.kind));
        RefCase c;
        const TensorId x = c.input({1, 4}, {-1.5, 0, 0.5, 3});
        const TensorId up = c.input({1, 4}, {2, 3, -1, 0.5});
        const auto out = c.run({c.b.unary(test.kind, x), c.b.glu(test.kind, x, up)});
        EXPECT_LT(distance(out[0], test.expected), kExact);
        const Numbers &e = test.expected;
        EXPECT_LT(distance(out[1], {2 * e[0], 3 * e[1], -e[2], 0.5 * e[3]}), kExact);
    }
}

TEST(RefRows, Softmax) {
    RefCase c;
    const double two = std::log(2.0), four = std::log(4.0);
    const TensorId x =
        c.input({4, 3}, {0, two, four, 1000, 1000, -kInf, -kInf, -kInf, -kInf, 5, 5, 5});
    const auto out = c.run({c.b.softmax(x, 1), c.b.softmax(x, 2)});
    const double third = 1.0 / 3;
    EXPECT_LT(
        distance(out[0], {1.0 / 7, 2.0 / 7, 4.0 / 7, 0.5, 0.5, 0, 0, 0, 0, third, third, third}),
        kExact);
    EXPECT_LT(distance(out[1],
                       {1.0 / 21, 4.0 / 21, 16.0 / 21, 0.5, 0.5, 0, 0, 0, 0, third, third, third}),
              kExact);
}

TEST(RefRows, ArgmaxTakesTheLowestOnATieAndSkipsNaN) {
    RefCase c;
    const TensorId x = c.input({c.symbol(5), 3}, {1, 3, 3, kNaN, 1, 0, kNaN, kNaN, kNaN, -kInf,
                                                  kNaN, -kInf, 0, kInf, kNaN});
    EXPECT_EQ(c.run(c.b.argmax(x)), (Numbers{1, 1, 0, 0, 1}));
}

TEST(RefRows, TopKOrdersByValueThenIndexWithNaNLast) {
    RefCase c;
    const TensorId x = c.input({2, 5}, {1, 7, kNaN, 7, -kInf, kNaN, 2, kNaN, 1, 2});
    const auto [values, indices] = c.b.top_k(x, 5);
    const auto out = c.run({values, indices});
    EXPECT_EQ(distance(out[0], {7, 7, 1, -kInf, kNaN, 2, 2, 1, kNaN, kNaN}), 0);
    EXPECT_EQ(out[1], (Numbers{1, 3, 0, 4, 2, 1, 4, 3, 0, 2}));
}

// Weights 8 : 4 : 2 : 1 : 1 of the tokens 50, 10, 40, 20, 30.
TEST(RefRows, SampleWalksTheKeptTokensById) {
    const double ln2 = std::log(2.0);
    const Numbers logits = {3 * ln2, 2 * ln2, ln2, 0, 0}, tokens = {50, 10, 40, 20, 30};
    const struct {
        Numbers draw; // temperature, top_k, top_p, min_p, uniform
        double token;
    } cases[] = {
        {{0, 0, 1, 0, 0.9}, 50}, // greedy
        // 10: 4, 20: 1, 30: 1, 40: 2, 50: 8, of 16
        {{1, 0, 1, 0, 0.24}, 10},
        {{1, 0, 1, 0, 0.26}, 20},
        {{1, 0, 1, 0, 0.36}, 30},
        {{1, 0, 1, 0, 0.49}, 40},
        {{1, 0, 1, 0, 0.51}, 50},
        {{1, 1, 1, 0, 0}, 50},
        {{1, 2, 1, 0, 0.32}, 10}, // 10: 4, 50: 8, of 12
        {{1, 2, 1, 0, 0.34}, 50},
        {{1, 0, 0.74, 0, 0.32}, 10}, // the same: 12 of 16 pass 0.74
        {{1, 0, 0.76, 0, 0.3}, 40},  // and 40: 2, of 14
        {{1, 0, 0, 0, 0}, 50},
        {{1, 0, 1, 0.3, 0.34}, 50}, // 4 / 8 stays, 2 / 8 does not
        {{0.5, 2, 1, 0, 0.19}, 10}, // 10: 16, 50: 64
        {{0.5, 2, 1, 0, 0.21}, 50},
    };
    for (const auto &each : cases) {
        RefCase c;
        const TensorId x = c.input({1, 5}, logits), t = c.integers({1, 5}, tokens);
        EXPECT_EQ(c.run(c.b.sample(x, t, c.input({1, 5}, each.draw))), Numbers{each.token});
    }
    RefCase c; // nothing to choose from
    const TensorId x = c.input({2, 2}, {-kInf, kNaN, kNaN, kNaN});
    const TensorId t = c.integers({2, 2}, {7, 3, 4, 9});
    EXPECT_EQ(c.run(c.b.sample(x, t, c.input({2, 5}, {1, 0, 1, 0, 0.5, 1, 0, 1, 0, 0.5}))),
              (Numbers{7, 4}));
}

TEST(RefRows, CopyRoundsToNearestEven) {
    RefCase c;
    // Halves have 11 significant bits, bfloat16 8: the ties go to the even neighbour.
    const TensorId x = c.input({1, 6}, {2049, 2051, 65520, 1.0 / 3, 257, 259});
    const auto out =
        c.run({c.b.copy(x, DType::F16), c.b.copy(x, DType::BF16), c.b.copy(x, DType::F32)});
    EXPECT_EQ(out[0], (Numbers{2048, 2052, kInf, 0.333251953125, 257, 259}));
    EXPECT_EQ(out[1], (Numbers{2048, 2048, 65536, 0.333984375, 256, 260}));
    EXPECT_EQ(out[2][3], 1.0 / 3);
}

} // namespace
} // namespace realizar
