// One token at a time: norm, activation and rotation fused into their neighbours, against the
// reference, and against the same graph with several tokens, which takes the other kernels.
#include "backend.h"

#include "core/graph/builder.h"

#include <cmath>

namespace realizar::vulkan::test {
namespace {

constexpr int64_t kWidth = 256, kHidden = 352, kResults = 37;

// x + down(silu(gate(n)) * up(n)) with n = norm(x) * g, then a matrix with an odd number of rows.
Graph make_feed_forward(DType type) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 16, 1);
    const TensorId x = b.input("x", DType::F32, {t, kWidth});
    const TensorId n = b.rms_norm(x, b.weight("g", DType::F32, {kWidth}, 1), 1e-5f);
    const TensorId gate = b.matmul(b.weight("gate", type, {kHidden, kWidth}, 2), n);
    const TensorId up = b.matmul(b.weight("up", type, {kHidden, kWidth}, 3), n);
    const TensorId hidden = b.glu(UnaryKind::silu, gate, up);
    const TensorId down = b.matmul(b.weight("down", DType::Q8_0, {kWidth, kHidden}, 4), hidden);
    const TensorId sum = b.add(x, down);
    b.output(b.matmul(b.weight("out", type, {kResults, kWidth}, 5), sum), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

// Attention of a token to itself and to what the cache holds, through rope and the cache.
struct Layer {
    Graph graph;
    AttentionInputs in;
    TensorId cells, cache;
};

Layer make_attention(bool halves, DType cache) {
    constexpr int64_t kHeads = 3, kDepth = 32, kCells = 32;
    GraphBuilder b;
    Layer layer;
    const int64_t t = b.symbol(1, 8, 1);
    const TensorId q = b.input("q", DType::F32, {t, kHeads, kDepth});
    const TensorId k = b.input("k", DType::F32, {t, kHeads, kDepth});
    AttentionInputs &in = layer.in;
    in.positions = b.input("positions", DType::I32, {t});
    in.sequences = b.input("sequences", DType::I32, {t});
    in.pages = b.input("pages", DType::I32, {1, 1});
    in.lengths = b.input("lengths", DType::I32, {1});
    layer.cells = b.input("cells", DType::I32, {t});
    RopeParams rope;
    rope.halves = halves;
    rope.rotated = 20; // the rest of a row stays as it is
    AttentionParams attention;
    attention.page_size = kCells;
    attention.scale = 0.2f;
    const TensorId turned = b.rope(q, in.positions, kNoTensor, rope);
    const TensorId keys = b.kv_write(b.state("keys", cache, {kCells, kHeads, kDepth}, 1),
                                     b.rope(k, in.positions, kNoTensor, rope), layer.cells);
    const TensorId values = b.state("values", DType::F16, {kCells, kHeads, kDepth}, 2);
    b.output(b.attention(turned, keys, values, in, kNoTensor, attention), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    layer.graph = std::move(graph).value();
    return layer;
}

// Vectors in 8 bits: half a step of 1/127 of the largest of 32, about 2.5 sigma, in each of three
// matrices, which comes to 0.6 % of the result; four times that.
constexpr double kTolerance = 0.024;

TEST(Decode, FeedForwardMatchesTheReference) {
    for (const DType type : {DType::Q4_0, DType::Q8_0}) {
        const Graph graph = make_feed_forward(type);
        const TensorId y = graph.outputs()[0];
        for (const int64_t tokens : {1, 3, 11}) {
            SCOPED_TRACE(tokens);
            Backend backend;
            RZ_REQUIRE_OPENED(backend);
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
            // [norm, gate, up, GLU], [down, residual], [out]
            EXPECT_EQ(fused.info().dispatches, 3u);
            EXPECT_EQ(fused.info().fused_nodes, 3u);
            EXPECT_EQ(plain.info().fused_nodes, 0u);
        }
    }
}

TEST(Decode, KeysAreRotatedIntoTheCache) {
    for (const bool halves : {false, true})
        for (const DType cache : {DType::F32, DType::F16, DType::Q8_0}) {
            const Layer layer = make_attention(halves, cache);
            const Graph &graph = layer.graph;
            const TensorId y = graph.outputs()[0];
            Backend backend;
            RZ_REQUIRE_OPENED(backend);
            const std::vector<int64_t> symbols = {2};
            auto leaves = random_leaves(graph, symbols, 9);
            leaves[layer.in.positions].data = {19, 20};
            leaves[layer.cells].data = {19, 20};
            leaves[layer.in.sequences].data = {0, 0};
            leaves[layer.in.pages].data = {0};
            leaves[layer.in.lengths].data = {21};
            auto expected = leaves;
            ASSERT_TRUE(ref_run(graph.view(), symbols, expected).ok());
            Loaded fused(backend, graph, symbols, leaves);
            ASSERT_EQ(fused.code, RZ_OK) << backend.err.message;
            EXPECT_EQ(fused.info().fused_nodes, 1u);
            EXPECT_CODE(RZ_OK, backend.err, fused.run());
            EXPECT_LE(distance(fused.floats(y), expected[y]), 2e-3);
            leaves[layer.in.positions].data = {18, 21};
            ASSERT_TRUE(ref_run(graph.view(), symbols, leaves).ok());
            EXPECT_GT(distance(fused.floats(y), leaves[y]), 1e-2) << "the comparison sees nothing";
        }
}

struct Block {
    DType q, v;
    bool halves, bias;
    int64_t heads, key_heads, depth, value_depth;
    uint32_t rotated;    // 0: no ROPE
    uint32_t dispatches; // of a token
};

// norm -> Q, K, V (+ bias) -> rope -> cache -> attention.
Layer make_block(const Block &c) {
    constexpr int64_t kCells = 32;
    GraphBuilder b;
    Layer layer;
    uint64_t key = 0;
    const int64_t t = b.symbol(1, 8, 1);
    const TensorId x = b.input("x", DType::F32, {t, kWidth});
    AttentionInputs &in = layer.in;
    in.positions = b.input("positions", DType::I32, {t});
    in.sequences = b.input("sequences", DType::I32, {t});
    in.pages = b.input("pages", DType::I32, {1, 1});
    in.lengths = b.input("lengths", DType::I32, {1});
    layer.cells = b.input("cells", DType::I32, {t});
    const TensorId n = b.rms_norm(x, b.weight("g", DType::F32, {kWidth}, ++key), 1e-5f);
    const auto project = [&](DType type, int64_t heads, int64_t depth) {
        const TensorId y = b.matmul(b.weight("w", type, {heads * depth, kWidth}, ++key), n);
        const TensorId bias = b.weight("b", DType::F32, {heads * depth}, ++key);
        return b.split_inner(c.bias ? b.add(y, bias) : y, depth);
    };
    const auto turn = [&](TensorId y) {
        RopeParams rope;
        rope.halves = c.halves;
        rope.rotated = c.rotated;
        return c.rotated ? b.rope(y, in.positions, kNoTensor, rope) : y;
    };
    const TensorId q = turn(project(c.q, c.heads, c.depth));
    const TensorId k = turn(project(c.q, c.key_heads, c.depth));
    const TensorId v = project(c.v, c.key_heads, c.value_depth);
    AttentionParams attention;
    attention.page_size = kCells;
    attention.scale = 1 / (16 * std::sqrt(static_cast<float>(c.depth)));
    const auto cache = [&](int64_t depth) {
        return b.state("cache", DType::F16, {kCells, c.key_heads, depth}, ++key);
    };
    layer.cache = cache(c.depth);
    const TensorId keys = b.kv_write(layer.cache, k, layer.cells);
    const TensorId values = b.kv_write(cache(c.value_depth), v, layer.cells);
    b.output(b.attention(q, keys, values, in, kNoTensor, attention), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    layer.graph = std::move(graph).value();
    return layer;
}

TEST(Decode, QueriesKeysAndValuesInOneDispatch) {
    const Block kBlocks[] = {{DType::Q4_K, DType::Q4_K, false, false, 4, 4, 64, 64, 64, 3},
                             {DType::Q4_K, DType::Q6_K, true, true, 6, 2, 64, 64, 64, 4},
                             {DType::Q8_0, DType::Q8_0, true, true, 4, 1, 32, 32, 20, 3},
                             {DType::Q4_0, DType::Q4_0, false, true, 5, 5, 6, 6, 4, 3},
                             {DType::Q6_K, DType::Q6_K, false, false, 3, 3, 40, 24, 0, 2}};
    constexpr int64_t kFirst = 3; // position: few keys, so that each one counts
    constexpr double kBlockTolerance = 2 * kTolerance; // the softmax of rounded scores
    for (const Block &block : kBlocks) {
        SCOPED_TRACE(static_cast<int>(&block - kBlocks));
        const Layer layer = make_block(block);
        const Graph &graph = layer.graph;
        const TensorId y = graph.outputs()[0];
        for (const int64_t tokens : {1, 3}) {
            SCOPED_TRACE(tokens);
            const std::vector<int64_t> symbols = {tokens};
            auto leaves = random_leaves(graph, symbols, 9);
            for (double &value : leaves[layer.cache].data)
                value *= 16; // as large as the keys that the weights make
            std::vector<double> positions;
            for (int64_t i = 0; i < tokens; ++i)
                positions.push_back(static_cast<double>(kFirst + i));
            leaves[layer.in.positions].data = positions;
            leaves[layer.cells].data = positions;
            leaves[layer.in.sequences].data.assign(static_cast<size_t>(tokens), 0);
            leaves[layer.in.pages].data = {0};
            leaves[layer.in.lengths].data = {static_cast<double>(kFirst + tokens)};
            auto expected = leaves;
            ASSERT_TRUE(ref_run(graph.view(), symbols, expected).ok());
            auto other = leaves;
            if (block.rotated)
                other[layer.in.positions].data[0] += 3;
            else
                other[layer.cells].data[0] += 1;
            ASSERT_TRUE(ref_run(graph.view(), symbols, other).ok());
            for (const char *disabled : {"", "qkv", "int_dot"}) {
                const bool first =
                    &block == kBlocks; // the switches once: each makes all kernels anew
                if (*disabled != '\0' && !(first && tokens == 1)) continue;
                Backend backend(disabled);
                RZ_REQUIRE_OPENED(backend);
                Loaded loaded(backend, graph, symbols, leaves);
                ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
                EXPECT_CODE(RZ_OK, backend.err, loaded.run());
                EXPECT_LE(distance(loaded.floats(y), expected[y]), kBlockTolerance) << disabled;
                EXPECT_GT(distance(loaded.floats(y), other[y]), kBlockTolerance) << disabled;
                if (*disabled != '\0') continue; // info() is about a single token
                EXPECT_EQ(loaded.info().dispatches, block.dispatches);
            }
        }
    }
}

} // namespace
} // namespace realizar::vulkan::test
