// Regions on the device: fusions and what they cost, memory of warm steps, attention in parts.
#include "core/graph/builder.h"
#include "tests/support/backend_session.h"

namespace realizar::test {
namespace {

// Vectors in 8 bits: half a step of 1/127 of the largest of 32, about 2.5 sigma, in each of three
// matrices, which comes to 0.6 % of the result; four times that.
constexpr double kTolerance = 0.024;
constexpr int64_t kWidth = 256, kHidden = 352, kResults = 37;

// x + down(silu(gate(n)) * up(n)) with n = norm(x) * g, then a matrix with an odd number of rows.
Graph make_feed_forward(DType type) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 16, 1);
    const TensorId x = b.input("x", DType::F32, {t, kWidth});
    const TensorId n =
        b.mul(b.rms_norm(x, kNoTensor, 1e-5f), b.weight("g", DType::F32, {kWidth}, 1));
    const TensorId gate = b.matmul(b.weight("gate", type, {kHidden, kWidth}, 2), n);
    const TensorId up = b.add(b.matmul(b.weight("up", type, {kHidden, kWidth}, 3), n),
                              b.weight("bias", DType::F32, {kHidden}, 6));
    const TensorId hidden = b.glu(UnaryKind::silu, gate, up);
    const TensorId down = b.matmul(b.weight("down", DType::Q8_0, {kWidth, kHidden}, 4), hidden);
    b.output(b.matmul(b.weight("out", type, {kResults, kWidth}, 5), b.add(x, down)), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

TEST(OpenClRegion, FeedForwardMatchesTheReference) {
    const Graph graph = make_feed_forward(DType::Q4_0);
    const TensorId y = graph.outputs()[0];
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    for (const int64_t tokens : {1, 3, 11}) {
        SCOPED_TRACE(tokens);
        const std::vector<int64_t> symbols = {tokens};
        const auto leaves = random_leaves(graph, symbols, 7);
        auto expected = leaves, other = random_leaves(graph, symbols, 8);
        ASSERT_TRUE(ref_run(graph.view(), symbols, expected).ok());
        ASSERT_TRUE(ref_run(graph.view(), symbols, other).ok());
        Loaded fused(backend, graph, symbols, leaves);
        Loaded plain(backend, graph, symbols, leaves, RZ_COMPILE_NO_FUSE);
        for (Loaded *loaded : {&fused, &plain}) {
            ASSERT_EQ(loaded->code, RZ_OK) << backend.err.message;
            EXPECT_CODE(RZ_OK, backend.err, loaded->run());
            EXPECT_LE(distance(loaded->floats(y), expected[y]), kTolerance);
            EXPECT_GT(distance(loaded->floats(y), other[y]), 10 * kTolerance);
        }
        // For one token, the hint: [norm, gate and up + bias], [GLU], [down + residual], [out]
        EXPECT_EQ(fused.info().dispatches, 4u);
        EXPECT_EQ(fused.info().fused_nodes, 4u);
        EXPECT_EQ(plain.info().fused_nodes, 0u);
    }
}

// One submission a step, the same launches again, and nothing allocated once warm.
TEST(OpenClRegion, WarmStepsTakeNothingNew) {
    const Graph graph = make_feed_forward(DType::Q8_0);
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    const std::vector<int64_t> symbols = {1};
    Loaded loaded(backend, graph, symbols, random_leaves(graph, symbols, 2));
    ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
    for (int i = 0; i < 3; ++i)
        EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    const rz_counters before = backend.counters();
    constexpr uint64_t kSteps = 30;
    for (uint64_t i = 0; i < kSteps; ++i)
        EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    const rz_counters after = backend.counters();
    EXPECT_EQ(after.submissions - before.submissions, kSteps);
    EXPECT_EQ(after.dispatches - before.dispatches, kSteps * loaded.info().dispatches);
    EXPECT_EQ(after.bytes_written - before.bytes_written, kSteps * kWidth * 4);
    EXPECT_EQ(after.bytes_read - before.bytes_read, kSteps * kResults * 4);
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(after.memory_used, before.memory_used);
    EXPECT_EQ(after.memory_peak, before.memory_peak);
}

// Attention over enough keys that they may be cut into parts, with a hole in the pages.
TEST(OpenClRegion, AttentionInPartsMatchesTheReference) {
    constexpr int64_t kPage = 32, kPages = 40, kHeads = 4, kDepth = 32, kLength = 1190;
    GraphBuilder b;
    const int64_t t = b.symbol(1, 8, 1);
    const TensorId q = b.input("q", DType::F32, {t, kHeads, kDepth});
    const TensorId k = b.state("k", DType::F16, {kPages * kPage, 2, kDepth}, 1);
    const TensorId v = b.state("v", DType::Q8_0, {kPages * kPage, 2, kDepth}, 2);
    AttentionInputs in;
    in.positions = b.input("positions", DType::I32, {t});
    in.sequences = b.input("sequences", DType::I32, {t});
    in.pages = b.input("pages", DType::I32, {1, kPages});
    in.lengths = b.input("lengths", DType::I32, {1});
    const TensorId sinks = b.input("sinks", DType::F32, {kHeads});
    AttentionParams params;
    params.page_size = kPage;
    params.scale = 0.3f;
    b.output(b.attention(q, k, v, in, sinks, params), "y");
    auto built = std::move(b).build();
    ASSERT_TRUE(built.ok()) << built.error().message;
    const Graph graph = std::move(built).value();
    const std::vector<int64_t> symbols = {2};
    auto leaves = random_leaves(graph, symbols, 3);
    leaves[in.positions].data = {kLength - 2, kLength - 1};
    leaves[in.sequences].data = {0, 0};
    leaves[in.lengths].data = {kLength};
    for (int64_t i = 0; i < kPages; ++i)
        leaves[in.pages].data[static_cast<size_t>(i)] =
            static_cast<double>(i == 7 ? -1 : (i * 13) % kPages);
    auto expected = leaves;
    ASSERT_TRUE(ref_run(graph.view(), symbols, expected).ok());
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    Loaded loaded(backend, graph, symbols, leaves);
    ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
    EXPECT_EQ(loaded.info().dispatches, 2u) << "the keys were not cut into parts";
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    const TensorId y = graph.outputs()[0];
    EXPECT_LE(distance(loaded.floats(y), expected[y]), 1e-5);
    leaves[in.lengths].data = {kLength - 40};
    ASSERT_TRUE(ref_run(graph.view(), symbols, leaves).ok());
    EXPECT_GT(distance(loaded.floats(y), leaves[y]), 1e-3) << "the comparison sees nothing";
}

// Rows side by side, the second operand one for all heads; then bounds.
TEST(OpenClRegion, ConcatRepeatsAndClampBounds) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 9, 1);
    const TensorId many = b.input("many", DType::F32, {t, 3, 5});
    const TensorId one = b.input("one", DType::F32, {t, 1, 7});
    b.output(b.clamp(b.concat(many, one), -0.4f, 0.3f), "y");
    auto built = std::move(b).build();
    ASSERT_TRUE(built.ok()) << built.error().message;
    const Graph graph = std::move(built).value();
    const std::vector<int64_t> symbols = {4};
    const auto leaves = random_leaves(graph, symbols, 11);
    auto expected = leaves, other = random_leaves(graph, symbols, 12);
    ASSERT_TRUE(ref_run(graph.view(), symbols, expected).ok());
    ASSERT_TRUE(ref_run(graph.view(), symbols, other).ok());
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    Loaded loaded(backend, graph, symbols, leaves);
    ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    const TensorId y = graph.outputs()[0];
    EXPECT_LE(distance(loaded.floats(y), expected[y]), 1e-6);
    EXPECT_GT(distance(loaded.floats(y), other[y]), 0.1);
}

} // namespace
} // namespace realizar::test
