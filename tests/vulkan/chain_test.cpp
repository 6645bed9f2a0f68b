// Kernels of decoding that wait for each other instead of at barriers, on a device where they do so only
// for tests, and what happens when one gives up.
#include "backend.h"

#include "core/graph/builder.h"

namespace realizar::vulkan::test {
namespace {

constexpr int64_t kWidth = 256, kHidden = 352, kResults = 37;

// Two blocks of norm, gate, up, GLU, down and residual, then a matrix: one kernel waits for the next.
Graph make_graph() {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 4, 1);
    TensorId x = b.input("x", DType::F32, {t, kWidth});
    uint64_t key = 0;
    for (int block = 0; block < 2; ++block) {
        const TensorId n = b.rms_norm(x, b.weight("g", DType::F32, {kWidth}, ++key), 1e-5f);
        const TensorId gate = b.matmul(b.weight("gate", DType::Q8_0, {kHidden, kWidth}, ++key), n);
        const TensorId up = b.matmul(b.weight("up", DType::Q8_0, {kHidden, kWidth}, ++key), n);
        const TensorId hidden = b.glu(UnaryKind::silu, gate, up);
        x = b.add(x, b.matmul(b.weight("down", DType::Q4_0, {kWidth, kHidden}, ++key), hidden));
    }
    b.output(b.matmul(b.weight("out", DType::Q8_0, {kResults, kWidth}, ++key), x), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

struct Outcome {
    std::vector<float> first, second; // results of two submissions
    uint64_t barriers = 0;            // of the second
};

Outcome run(const char *tune, const char *fail) {
    const Graph graph = make_graph();
    const std::vector<int64_t> symbols = {1};
    const auto leaves = random_leaves(graph, symbols, 11);
    Outcome outcome;
    const Variable tuned("REALIZAR_VULKAN_TUNE", tune), failing("REALIZAR_VULKAN_FAIL", fail);
    Backend backend;
    Loaded loaded(backend, graph, symbols, leaves);
    EXPECT_EQ(loaded.code, RZ_OK) << backend.err.message;
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    outcome.first = loaded.floats(graph.outputs()[0]);
    const uint64_t before = backend.counters().barriers;
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    outcome.barriers = backend.counters().barriers - before;
    outcome.second = loaded.floats(graph.outputs()[0]);
    return outcome;
}

TEST(Chain, ReplacesBarriersAndChangesNoResult) {
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    const Outcome plain = run("", ""), chained = run("chain:1", "");
    EXPECT_EQ(plain.first, chained.first);
    EXPECT_EQ(plain.first, chained.second);
    // Four between five kernels; one more stands behind the copy of the counter.
    EXPECT_EQ(chained.barriers + 3, plain.barriers);
}

TEST(Chain, GivingUpCostsAStepAndNoResult) {
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    const Outcome plain = run("", ""), broken = run("chain:1", "chain:1");
    EXPECT_EQ(plain.first, broken.first);
    EXPECT_EQ(plain.second, broken.second);
    EXPECT_EQ(plain.barriers, broken.barriers); // chains are over
}

} // namespace
} // namespace realizar::vulkan::test
