// RoPE against numbers from an independent evaluation of the contract's formulas.
#include "ref_case.h"

namespace realizar {
namespace {

using test::distance;
using test::kExact;
using test::Numbers;
using test::RefCase;

struct RopeCase {
    const char *name;
    double position;
    RopeParams params;
    Numbers x, factors, expected;
    double tolerance = kExact;
};

TEST(RefRope, MatchesTheFormulas) {
    const Numbers x{1, 2, 3, 4, 5, 6};
    const Numbers y{1, -1, 0.5, 2, -2, 1, 3, -0.5};
    RopeParams yarn;
    yarn.rotated = 8;
    yarn.base = 100;
    yarn.scale = 0.25f;
    yarn.extrapolation = 1;
    yarn.beta_fast = 4;
    yarn.beta_slow = 1;
    yarn.original_context = 64;
    RopeParams half_yarn = yarn;
    half_yarn.halves = true;
    half_yarn.extrapolation = 0.5f;
    half_yarn.attention_factor = 2;
    const RopeCase cases[] = {
        {"adjacent pairs, two elements pass through",
         1,
         {.rotated = 4},
         x,
         {},
         {-1.1426396637476532, 1.922075596544176, 2.9598506679133294, 4.029799501669161, 5, 6}},
        {"halves",
         1,
         {.halves = true, .rotated = 4},
         x,
         {},
         {-1.9841106485555495, 1.959900667496664, 2.4623779024123156, 4.019799668334994, 5, 6}},
        {"position zero", 0, {.rotated = 6}, x, {}, x},
        {"negative position",
         -3,
         {.rotated = 6, .base = 100},
         x,
         {},
         {-0.7077524804807109, -2.121105001260758, 4.803941800402849, 1.3864137832343686,
          5.784392102158678, 5.247933689413797}},
        {"linear scaling",
         8,
         {.rotated = 4, .scale = 0.25f},
         x,
         {},
         {-2.234741690198506, 0.0770037537313969, 2.919405353226401, 4.05919602674631, 5, 6}},
        {"factors",
         2,
         {.rotated = 4},
         x,
         {2, 0.5},
         {-1.1426396637476532, 1.922075596544176, 2.837642983236397, 4.116768429203814, 5, 6}},
        {"YaRN",
         5,
         yarn,
         y,
         {},
         {-0.7688732918534996, -1.4148455204140753, -1.896828531271626, 1.3827757382424408,
          -2.488165839366437, 0.5398293431385912, 3.435718273245188, -0.4338803177267185}},
        {"half YaRN, halves, attention factor",
         5,
         half_yarn,
         y,
         {},
         {-2.2013773287674105, -3.2204873207697213, -0.15479264959947475, 4.595956551117635,
          4.5916748264661535, -0.016654098808127252, 6.924282487631199, -0.9577537561977479}},
    };
    for (const RopeCase &test : cases) {
        SCOPED_TRACE(test.name);
        RefCase c;
        const TensorId input = c.input({1, 1, static_cast<int64_t>(test.x.size())}, test.x);
        const TensorId positions = c.integers({1}, {test.position});
        const TensorId factors =
            test.factors.empty()
                ? kNoTensor
                : c.weight({static_cast<int64_t>(test.factors.size())}, test.factors);
        const Numbers out = c.run(c.b.rope(input, positions, factors, test.params));
        EXPECT_LT(distance(out, test.expected), test.tolerance);
    }
}

TEST(RefRope, EachTokenHasItsPositionAndAllHeadsShareIt) {
    RefCase c;
    const TensorId x = c.input({c.symbol(2), 2, 2}, {1, 0, 0, 1, 1, 0, 0, 1});
    const TensorId positions = c.integers({RZ_SYMBOL(0)}, {2, 0});
    const Numbers out = c.run(c.b.rope(x, positions, kNoTensor, {.rotated = 2}));
    const double cosine = std::cos(2.0), sine = std::sin(2.0);
    EXPECT_LT(distance(out, {cosine, sine, -sine, cosine, 1, 0, 0, 1}), kExact);
}

// A rotation keeps the length of each pair, and the dot product of two vectors depends on the
// difference of their positions only.
TEST(RefRope, DotProductsDependOnDistance) {
    const auto dot = [](double p, double q) {
        RefCase c;
        const TensorId x = c.input({2, 1, 4}, {0.3, -1.2, 0.7, 2, 1.1, 0.4, -0.6, 0.9});
        const TensorId positions = c.integers({2}, {p, q});
        const Numbers y = c.run(c.b.rope(x, positions, kNoTensor, {.halves = true, .rotated = 4}));
        return std::inner_product(y.begin(), y.begin() + 4, y.begin() + 4, 0.0);
    };
    EXPECT_NEAR(dot(3, 1), dot(103, 101), 1e-12);
    EXPECT_GT(std::abs(dot(3, 1) - dot(3, 2)), 1e-3);
}

} // namespace
} // namespace realizar
