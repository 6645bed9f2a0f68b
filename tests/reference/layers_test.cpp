// Mixtures of experts and recurrent layers against numbers computed by hand.
#include "ref_case.h"

#include <numbers>

namespace realizar {
namespace {

using std::numbers::ln2;
using test::distance;
using test::kExact;
using test::Numbers;
using test::RefCase;

TEST(RefLayers, ClampBounds) {
    RefCase c;
    const TensorId x = c.input({c.symbol(2), 3}, {-2, -1, 0.5, 1.5, 2, 3});
    EXPECT_EQ(c.run(c.b.clamp(x, -1, 2)), (Numbers{-1, -1, 0.5, 1.5, 2, 2}));
}

TEST(RefLayers, ConcatRepeatsDimensionsOfOne) {
    {
        RefCase c;
        const TensorId a = c.input({c.symbol(2), 2}, {1, 2, 3, 4});
        EXPECT_EQ(c.run(c.b.concat(a, c.b.slice_inner(a, 1, 1))), (Numbers{1, 2, 2, 3, 4, 4}));
    }
    const Numbers numbers{1, 2, 3, 4};
    {
        RefCase c;
        const TensorId a = c.input({1, 2, 2, 1}, numbers), b = c.input({1, 1, 2, 1}, {5, 6});
        EXPECT_EQ(c.run(c.b.concat(a, b)), (Numbers{1, 5, 2, 6, 3, 5, 4, 6}));
    }
    RefCase c;
    const TensorId a = c.input({1, 2, 2, 1}, numbers), b = c.input({1, 2, 1, 1}, {5, 6});
    EXPECT_EQ(c.run(c.b.concat(a, b)), (Numbers{1, 5, 2, 5, 3, 6, 4, 6}));
}

struct Routed {
    Numbers weights, experts;
};

Routed route(const Numbers &logits, const Numbers &bias, const RouteParams &params) {
    RefCase c;
    const auto count = static_cast<int64_t>(logits.size());
    const TensorId l = c.input({1, count}, logits);
    const auto routes = c.b.route(l, bias.empty() ? kNoTensor : c.input({count}, bias), params);
    const auto out = c.run({routes.weights, routes.experts});
    return {out[0], out[1]};
}

// Logits whose softmax is 0.1, 0.4, 0.2, 0.3.
const Numbers kTenths{std::log(1), std::log(4), std::log(2), std::log(3)};
// Logits whose sigmoid is p.
Numbers logits_of(Numbers p) {
    for (double &value : p)
        value = std::log(value / (1 - value));
    return p;
}

TEST(RefLayers, RouteTakesTheLargest) {
    const Routed plain = route(kTenths, {}, {.k = 2, .scale = 2});
    EXPECT_EQ(plain.experts, (Numbers{1, 3}));
    EXPECT_LT(distance(plain.weights, {0.8, 0.6}), kExact);
    const Routed normalised = route(kTenths, {}, {.k = 2, .normalise = true, .scale = 7});
    EXPECT_LT(distance(normalised.weights, {4, 3}), kExact);
    const Routed sigmoid = route(logits_of({0.25, 0.75, 0.5}), {}, {.sigmoid = true, .k = 3});
    EXPECT_EQ(sigmoid.experts, (Numbers{1, 2, 0}));
    EXPECT_LT(distance(sigmoid.weights, {0.75, 0.5, 0.25}), kExact);
}

TEST(RefLayers, RouteChoosesByTheBiasButWeighsWithoutIt) {
    const Routed out = route(kTenths, {0.25, 0, 0, 0}, {.k = 2});
    EXPECT_EQ(out.experts, (Numbers{1, 0})); // 0.4 and 0.35
    EXPECT_LT(distance(out.weights, {0.4, 0.1}), kExact);
}

TEST(RefLayers, RouteStaysInTheBestGroups) {
    const Numbers logits = logits_of({0.9, 0.1, 0.6, 0.5, 0.8, 0.05});
    RouteParams params{.sigmoid = true, .k = 2, .groups = 3, .groups_used = 1, .group_top = 2};
    EXPECT_EQ(route(logits, {}, params).experts, (Numbers{2, 3})); // 1.1 against 1.0 and 0.85
    params.group_top = 1;
    EXPECT_EQ(route(logits, {}, params).experts, (Numbers{0, 1}));
    params.groups_used = 2;
    EXPECT_EQ(route(logits, {}, params).experts, (Numbers{0, 4}));
}

TEST(RefLayers, RouteBreaksTiesByIndexAndSurvivesNan) {
    EXPECT_EQ(route({2, 2, 5, 2}, {}, {.k = 3}).experts, (Numbers{2, 0, 1}));
    const Numbers experts = route({NAN, 1, NAN, NAN}, {}, {.sigmoid = true, .k = 3}).experts;
    EXPECT_EQ(experts, (Numbers{1, 0, 2}));
}

TEST(RefLayers, ExpertMatmulTakesTheNamedMatrices) {
    const Numbers w{1, 2, 3, 4, 10, 20, 30, 40}, x{1, 1, 1, -1}, ids{1, 0, 0, 5};
    {
        RefCase c;
        const TensorId y =
            c.b.expert_matmul(c.weight({2, 2, 2}, w), c.input({c.symbol(2), 1, 2}, x),
                              c.integers({RZ_SYMBOL(0), 2}, ids), kNoTensor);
        EXPECT_EQ(c.run(y), (Numbers{30, 70, 3, 7, -1, -1, 0, 0}));
    }
    {
        RefCase c;
        const TensorId y =
            c.b.expert_matmul(c.weight({2, 2, 2}, w), c.input({2, 2, 2}, {1, 1, 1, 0, 0, 1, 1, 1}),
                              c.integers({2, 2}, ids), c.weight({2, 2}, {100, 200, 300, 400}));
        EXPECT_EQ(c.run(y), (Numbers{330, 470, 101, 203, 102, 204, 0, 0}));
    }
    RefCase c;
    const TensorId y = c.b.expert_matmul(c.weight({2, 2, 2}, w), c.input({1, 2, 2}, {1, 0, 0, 1}),
                                         kNoTensor, kNoTensor);
    EXPECT_EQ(c.run(y), (Numbers{1, 3, 20, 40}));
}

TEST(RefLayers, WeightedSumAddsTheParts) {
    RefCase c;
    const TensorId x = c.input({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    EXPECT_EQ(c.run(c.b.weighted_sum(x, c.input({2, 2}, {10, 1, 0, -1}))),
              (Numbers{13, 24, -7, -8}));
}

TEST(RefLayers, ConvolutionGoesOnWhereItsSequenceStopped) {
    RefCase c;
    const TensorId state = c.state(DType::F32, {2, 1, 1}, {7, 8});
    const TensorId x = c.input({4, 1}, {1, 2, 3, 4});
    // Sequence 0 goes on, sequence 1 begins, the last row belongs to none.
    const RowPlaces rows{c.integers({4}, {3, 0, 4, 0}), c.integers({4}, {0, 1, 0, -1})};
    const TensorId y =
        c.b.ssm_conv(state, x, c.weight({1, 2}, {10, 1}), c.weight({1}, {100}), rows);
    const auto out = c.run({y, state});
    EXPECT_EQ(out[0], (Numbers{171, 102, 113, 0}));
    EXPECT_EQ(out[1], (Numbers{3, 2}));
}

TEST(RefLayers, ConvolutionKeepsTheOldestRowFirst) {
    RefCase c;
    const TensorId state = c.state(DType::F32, {1, 2, 2}, {1, 2, 3, 4});
    const RowPlaces rows{c.integers({1}, {9}), c.integers({1}, {0})};
    const TensorId y = c.b.ssm_conv(state, c.input({1, 2}, {5, 6}),
                                    c.weight({2, 3}, {100, 10, 1, 1, 10, 100}), kNoTensor, rows);
    const auto out = c.run({y, state});
    EXPECT_EQ(out[0], (Numbers{135, 642}));
    EXPECT_EQ(out[1], (Numbers{3, 4, 5, 6}));
}

// ln(1 + e^0) = ln 2, so a rate of -1 halves the state with every row.
TEST(RefLayers, ScanDecaysAndBegins) {
    RefCase c;
    const TensorId state = c.state(DType::F32, {1, 1, 1, 2}, {4, 8});
    const RowPlaces rows{c.integers({2}, {5, 0}), c.integers({2}, {0, 0})};
    const ScanInputs in{c.input({2, 1, 1}, {3, 1}),
                        c.input({2, 1}, {0, 0}),
                        c.weight({1, 1}, {-1}),
                        c.input({2, 1, 2}, {1, 0, 0, 1}),
                        c.input({2, 1, 2}, {1, 10, 1, 10}),
                        c.weight({1}, {2})};
    const TensorId y = c.b.ssm_scan(state, in, rows);
    const auto out = c.run({y, state});
    EXPECT_LT(distance(out[0], {2 + 3 * ln2 + 40 + 6, 10 * ln2 + 2}), kExact);
    EXPECT_LT(distance(out[1], {0, ln2}), 1e-7); // a state is F32
}

TEST(RefLayers, ScanHeadsShareTheRowsOfTheirGroup) {
    RefCase c;
    const TensorId state = c.state(DType::F32, {1, 4, 1, 1}, {9, 9, 9, 9});
    const RowPlaces rows{c.integers({1}, {0}), c.integers({1}, {0})};
    const ScanInputs in{c.input({1, 4, 1}, {1, 2, 3, 4}), c.input({1, 4}, {0, 0, 0, 0}),
                        c.weight({4, 1}, {-1, -2, -3, -4}), c.input({1, 2, 1}, {1, 10}),
                        c.input({1, 2, 1}, {1, 1})};
    EXPECT_LT(distance(c.run(c.b.ssm_scan(state, in, rows)), {ln2, 2 * ln2, 30 * ln2, 40 * ln2}),
              kExact);
}

} // namespace
} // namespace realizar
