// What a token costs, exactly: launches, submissions and bytes of whole models, and no allocation once they
// are warm. The figures are those of plugins/opencl/README.md.
#include "tests/support/token_costs.h"

namespace realizar {
namespace {

using test::Cost;
using OpenClCounters = test::TokenCosts;

// [embedding], [angles], five a layer (norm, Q, K, V, rotation and cache; attention; its output; norm,
// gate and up; down), [row of the logits], [norm and head]; then the choice.
TEST_F(OpenClCounters, OfATokenAreExact) {
    RZ_REQUIRE_BACKEND("opencl");
    SamplerParams greedy, sampled;
    greedy.temperature = 0;
    struct Case {
        const char *model;
        uint64_t layers;
    };
    for (const Case &c : {Case{"fable-21m-q8_0.gguf", 6}, Case{"fable-draft-3m-q8_0.gguf", 2}}) {
        SCOPED_TRACE(c.model);
        ASSERT_NO_FATAL_FAILURE(open("opencl", c.model));
        const uint64_t step = 5 * c.layers + 4;
        const uint64_t in = 6 * 4 + 2 * 4; // two pages
        const uint64_t draw = sizeof(TokenDraw), logits = engine_->config().vocabulary * 4;
        EXPECT_EQ(cost(greedy, 0, 2, 1), (Cost{1, step, 0, in, logits}));
        if (c.layers > 2) continue; // the rest is the same for all
        EXPECT_EQ(cost(greedy, 1, 2, 1), (Cost{1, step + 2, 0, in, 4}));
        EXPECT_EQ(cost(sampled, 1, 2, 1), (Cost{1, step + 3, 0, in + draw, 4}));
        // Ids stay on the device but for the first.
        EXPECT_EQ(cost(sampled, 8, 8, 16),
                  (Cost{2, 16 * (step + 3), 0, 2 * (8 * (in + draw) - 7 * 4), 16 * 4}));
    }
}

} // namespace
} // namespace realizar
