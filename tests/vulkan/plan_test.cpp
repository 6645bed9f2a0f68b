// What a plan costs: fused nodes, dispatches, submissions, memory; and attention in parts.
#include "backend.h"

#include "core/graph/builder.h"

namespace realizar::vulkan::test {
namespace {

constexpr int64_t kWidth = 64;

// x -> x + W2 (norm(x) * g) + ... : both patterns of plan/fusion.cpp, with and without quantised
// weights.
Graph make_block(DType type) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 40, 1);
    const TensorId x = b.input("x", DType::F32, {t, kWidth});
    const TensorId normed =
        b.mul(b.rms_norm(x, kNoTensor, 1e-5f), b.weight("g", DType::F32, {kWidth}, 1));
    const TensorId biased = b.add(b.matmul(b.weight("w1", type, {96, kWidth}, 2), normed),
                                  b.weight("bias", DType::F32, {96}, 3));
    const TensorId back = b.matmul(b.weight("w2", type, {kWidth, 96}, 4), biased);
    b.output(b.add(x, back), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

TEST(Plan, FusesNormAndMatmulWithTheirNeighbours) {
    const Graph graph = make_block(DType::F32);
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    const std::vector<int64_t> symbols = {3};
    const auto leaves = random_leaves(graph, symbols, 1);
    Loaded plain(backend, graph, symbols, leaves, RZ_COMPILE_NO_FUSE);
    Loaded fused(backend, graph, symbols, leaves);
    ASSERT_EQ(plain.code, RZ_OK) << backend.err.message;
    ASSERT_EQ(fused.code, RZ_OK) << backend.err.message;
    EXPECT_EQ(plain.info().fused_nodes, 0u);
    EXPECT_EQ(plain.info().dispatches, 6u);
    EXPECT_EQ(fused.info().fused_nodes, 3u);
    EXPECT_EQ(fused.info().dispatches, 3u);
}

// One submission a step, the same commands again, and nothing allocated once warm.
TEST(Plan, WarmStepsTakeNothingNew) {
    const Graph graph = make_block(DType::Q8_0);
    for (const char *disabled : {"", "host_memory"}) {
        Backend backend(disabled);
        RZ_REQUIRE_OPENED(backend);
        const std::vector<int64_t> symbols = {1};
        Loaded loaded(backend, graph, symbols, random_leaves(graph, symbols, 2));
        ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
        for (int i = 0; i < 3; ++i)
            EXPECT_CODE(RZ_OK, backend.err, loaded.run());
        const rz_counters before = backend.counters();
        constexpr uint64_t kSteps = 100;
        for (uint64_t i = 0; i < kSteps; ++i)
            EXPECT_CODE(RZ_OK, backend.err, loaded.run());
        const rz_counters after = backend.counters();
        EXPECT_EQ(after.submissions - before.submissions, kSteps);
        EXPECT_EQ(after.dispatches - before.dispatches, kSteps * loaded.info().dispatches);
        EXPECT_GT(after.barriers, before.barriers);
        EXPECT_EQ(after.allocations, before.allocations);
        EXPECT_EQ(after.memory_used, before.memory_used);
        EXPECT_EQ(after.memory_peak, before.memory_peak);
    }
}

// Attention over enough keys that they are cut into parts, with a hole in the pages.
TEST(Plan, AttentionInPartsMatchesTheReference) {
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

} // namespace
} // namespace realizar::vulkan::test
