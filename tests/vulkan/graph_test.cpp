// Whole graphs against the float64 reference, in every configuration.
#include "backend.h"

#include "tests/graph/random_graph.h"

namespace realizar::vulkan::test {
namespace {

using realizar::test::make_random_graph;
using realizar::test::RandomGraph;

// Quantised activations move a result by some 2^-8 of it, caches in F16 by 2^-11; see the
// conformance kit for bounds of single operators.
constexpr double kTolerance = 0.02;

std::vector<RefValue> reference(const RandomGraph &random) {
    std::vector<RefValue> values = random.leaves;
    const Status status = ref_run(random.graph.view(), random.symbols, values);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return values;
}

class Configurations : public testing::TestWithParam<const char *> {};

TEST_P(Configurations, MatchTheReference) {
    Backend backend(GetParam());
    RZ_REQUIRE_OPENED(backend);
    for (uint32_t seed = 0; seed < 6; ++seed) {
        const RandomGraph random = make_random_graph(seed, 14);
        const auto expected = reference(random);
        for (const uint32_t flags : {0u, RZ_COMPILE_NO_FUSE}) {
            Loaded loaded(backend, random.graph, random.symbols, random.leaves, flags);
            ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
            // Twice: temporaries hold the values of the first run then.
            for (int i = 0; i < 2; ++i)
                EXPECT_CODE(RZ_OK, backend.err, loaded.run());
            for (const TensorId out : random.graph.outputs())
                EXPECT_LE(distance(loaded.floats(out), expected[out]), kTolerance)
                    << "seed " << seed << " flags " << flags;
        }
    }
    EXPECT_EQ(backend.host.errors, 0);
}

std::string configuration_name(const testing::TestParamInfo<const char *> &info) {
    std::string name = *info.param ? std::string("no_") + info.param : "full";
    for (char &c : name)
        if (c == ',') c = '_';
    return name;
}
INSTANTIATE_TEST_SUITE_P(All, Configurations, testing::ValuesIn(kConfigurations),
                         configuration_name);

TEST(Graphs, ControlSeesAnotherLeaf) {
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    RandomGraph random = make_random_graph(1, 14);
    const auto expected = reference(random);
    for (RefValue &leaf : random.leaves)
        if (leaf.dims.size() == 2 && leaf.data.size() > 1)
            for (double &value : leaf.data)
                value += 0.1;
    Loaded loaded(backend, random.graph, random.symbols, random.leaves);
    ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    double largest = 0;
    for (const TensorId out : random.graph.outputs())
        largest = std::max(largest, distance(loaded.floats(out), expected[out]));
    EXPECT_GT(largest, kTolerance);
}

} // namespace
} // namespace realizar::vulkan::test
