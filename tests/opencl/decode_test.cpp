// One token at a time: Q, K and V up to the cache in one launch, attention over cached keys in F16; and
// attention of many tokens of several sequences. Against the reference.
#include "core/graph/builder.h"
#include "tests/support/backend_session.h"

#include <cmath>

namespace realizar::test {
namespace {

struct Layer {
    Graph graph;
    AttentionInputs in;
    TensorId cells = kNoTensor, cache = kNoTensor;
};

Layer finish(GraphBuilder &&b, Layer &&layer) {
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    layer.graph = std::move(graph).value();
    return std::move(layer);
}

void add_inputs(GraphBuilder &b, int64_t tokens, int64_t sequences, int64_t pages, Layer &layer) {
    layer.in.positions = b.input("positions", DType::I32, {tokens});
    layer.in.sequences = b.input("sequences", DType::I32, {tokens});
    layer.in.pages = b.input("pages", DType::I32, {sequences, pages});
    layer.in.lengths = b.input("lengths", DType::I32, {sequences});
}

struct Block {
    DType q, v;
    bool halves, bias;
    int64_t heads, key_heads, depth, value_depth;
    uint32_t rotated;  // 0: no ROPE
    uint32_t launches; // of a token
};

constexpr int64_t kWidth = 256, kCells = 32;

// norm -> Q, K, V (+ bias) -> rope -> cache -> attention.
Layer make_block(const Block &c) {
    GraphBuilder b;
    Layer layer;
    uint64_t key = 0;
    const int64_t t = b.symbol(1, 8, 1);
    const TensorId x = b.input("x", DType::F32, {t, kWidth});
    add_inputs(b, t, 1, 1, layer);
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
        return c.rotated ? b.rope(y, layer.in.positions, kNoTensor, rope) : y;
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
    b.output(b.attention(q, keys, values, layer.in, kNoTensor, attention), "y");
    return finish(std::move(b), std::move(layer));
}

// Leaves for `tokens` tokens behind three others: few keys, so that each one counts.
std::vector<RefValue> block_leaves(const Layer &layer, int64_t tokens) {
    constexpr int64_t kFirst = 3;
    auto leaves = random_leaves(layer.graph, std::vector<int64_t>{tokens}, 9);
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
    return leaves;
}

// Vectors in 8 bits, as in region_test.cpp, and the softmax of scores made with them.
constexpr double kTolerance = 0.048;

TEST(OpenClDecode, QueriesKeysAndValuesInOneLaunch) {
    // Angles where there is ROPE, norm and matrices (two launches for two types), attention.
    const Block kBlocks[] = {{DType::Q4_K, DType::Q6_K, true, true, 6, 2, 32, 32, 32, 4},
                             {DType::Q8_0, DType::Q8_0, false, true, 4, 1, 32, 32, 20, 3},
                             {DType::Q5_K, DType::Q5_K, false, false, 3, 3, 40, 24, 0, 2}};
    for (const Block &block : kBlocks) {
        SCOPED_TRACE(static_cast<int>(&block - kBlocks));
        const Layer layer = make_block(block);
        const TensorId y = layer.graph.outputs()[0];
        for (const int64_t tokens : {1, 3}) {
            SCOPED_TRACE(tokens);
            const std::vector<int64_t> symbols = {tokens};
            const auto leaves = block_leaves(layer, tokens);
            auto expected = leaves, other = leaves;
            if (block.rotated)
                other[layer.in.positions].data[0] += 3;
            else
                other[layer.cells].data[0] += 1;
            ASSERT_TRUE(ref_run(layer.graph.view(), symbols, expected).ok());
            ASSERT_TRUE(ref_run(layer.graph.view(), symbols, other).ok());
            Backend backend;
            RZ_REQUIRE_OPENED(backend);
            Loaded loaded(backend, layer.graph, symbols, leaves);
            ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
            EXPECT_CODE(RZ_OK, backend.err, loaded.run());
            EXPECT_LE(distance(loaded.floats(y), expected[y]), kTolerance);
            EXPECT_GT(distance(loaded.floats(y), other[y]), kTolerance);
            EXPECT_EQ(loaded.info().dispatches, block.launches);
        }
    }
}

struct Case {
    int64_t heads, key_heads, depth, tokens;
    int32_t length;
    uint32_t window;
    bool sinks;
    float softcap, alibi;
};

constexpr int64_t kPage = 32, kPages = 40, kSequences = 3;

Layer make_attention(const Case &c) {
    GraphBuilder b;
    Layer layer;
    const int64_t t = b.symbol(1, 128, 1);
    const TensorId q = b.input("q", DType::F32, {t, c.heads, c.depth});
    const TensorId k = b.state("k", DType::F16, {kPage * kPages, c.key_heads, c.depth}, 1);
    const TensorId v = b.state("v", DType::F16, {kPage * kPages, c.key_heads, c.depth}, 2);
    add_inputs(b, t, kSequences, kPages, layer);
    const TensorId sinks = c.sinks ? b.input("sinks", DType::F32, {c.heads}) : kNoTensor;
    AttentionParams params;
    params.page_size = kPage;
    params.scale = 0.3f;
    params.window = c.window;
    params.softcap = c.softcap;
    params.alibi_max_bias = c.alibi;
    b.output(b.attention(q, k, v, layer.in, sinks, params), "y");
    return finish(std::move(b), std::move(layer));
}

// The tokens are the last ones of sequence 1, but for some of sequence 2 or none; pages lie in no order
// and have a hole.
std::vector<RefValue> attention_leaves(const Layer &layer, const Case &c) {
    auto leaves = random_leaves(layer.graph, std::vector<int64_t>{c.tokens}, 3);
    for (int64_t i = 0; i < c.tokens; ++i) {
        const auto at = static_cast<size_t>(i);
        leaves[layer.in.positions].data[at] = static_cast<double>(c.length - c.tokens + i);
        leaves[layer.in.sequences].data[at] = i == 1 ? -1 : i % 5 == 3 ? 2 : 1;
    }
    leaves[layer.in.lengths].data = {0, static_cast<double>(c.length),
                                     static_cast<double>(c.length)};
    for (int64_t i = 0; i < kSequences * kPages; ++i)
        leaves[layer.in.pages].data[static_cast<size_t>(i)] =
            static_cast<double>(i % kPages == 7 ? -1 : (i * 13 + i / kPages) % kPages);
    return leaves;
}

void compare_attention(const Case &c, double tolerance) {
    SCOPED_TRACE(std::to_string(c.heads) + " heads of " + std::to_string(c.depth) + ", " +
                 std::to_string(c.tokens) + " tokens");
    const Layer layer = make_attention(c);
    const TensorId y = layer.graph.outputs()[0];
    const std::vector<int64_t> symbols = {c.tokens};
    auto leaves = attention_leaves(layer, c);
    auto expected = leaves;
    ASSERT_TRUE(ref_run(layer.graph.view(), symbols, expected).ok());
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    Loaded loaded(backend, layer.graph, symbols, leaves);
    ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
    for (int run = 0; run < 2; ++run) { // the second one meets what the first one left
        EXPECT_CODE(RZ_OK, backend.err, loaded.run());
        EXPECT_LE(distance(loaded.floats(y), expected[y]), tolerance);
    }
    if (c.length < 40) return;
    leaves[layer.in.positions].data[0] -= 40; // sees 40 keys fewer
    ASSERT_TRUE(ref_run(layer.graph.view(), symbols, leaves).ok());
    EXPECT_GT(distance(loaded.floats(y), leaves[y]), tolerance) << "the comparison sees nothing";
}

TEST(OpenClDecode, AttentionMatchesTheReference) {
    const Case kCases[] = {{6, 2, 128, 3, 700, 0, false, 0, 0},
                           {7, 1, 80, 2, 1280, 0, true, 0, 0},
                           {3, 1, 8, 1, 1, 0, true, 0, 0},
                           {10, 2, 96, 1, 1000, 500, true, 30, 8}};
    for (const Case &c : kCases)
        compare_attention(c, 1e-5);
}

// On devices with matrix units weights and queries are in F16: 2^-11 of each, of many.
TEST(OpenClDecode, AttentionOfManyTokensMatchesTheReference) {
    const Case kCases[] = {{4, 2, 64, 70, 700, 0, false, 0, 0},
                           {2, 1, 128, 128, 500, 100, true, 0, 0},
                           {3, 3, 48, 33, 900, 0, false, 20, 8}};
    for (const Case &c : kCases)
        compare_attention(c, 1e-3);
}

} // namespace
} // namespace realizar::test
