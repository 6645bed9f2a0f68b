// Caches of blocks, keys and values of types of their own: rows are turned by ROPE, written, and read by attention.
// Against the reference.
#include "core/graph/builder.h"
#include "tests/support/backend_session.h"

namespace realizar::test {
namespace {

struct Case {
    DType k, v;
    int64_t depth, value_depth, tokens;
    bool halves, sinks;
};

constexpr int64_t kHeads = 6, kKeyHeads = 2, kPage = 32, kPages = 12, kMostTokens = 40;
constexpr int64_t kBefore = 290; // keys that the cache holds already

struct Layer {
    Graph graph;
    AttentionInputs in;
    TensorId cells = kNoTensor, keys = kNoTensor;
};

Layer make_layer(const Case &c) {
    GraphBuilder b;
    Layer layer;
    const int64_t t = b.symbol(1, kMostTokens, 1);
    const TensorId q = b.input("q", DType::F32, {t, kHeads, c.depth});
    const TensorId k = b.input("k", DType::F32, {t, kKeyHeads, c.depth});
    const TensorId v = b.input("v", DType::F32, {t, kKeyHeads, c.value_depth});
    layer.in.positions = b.input("positions", DType::I32, {t});
    layer.in.sequences = b.input("sequences", DType::I32, {t});
    layer.in.pages = b.input("pages", DType::I32, {1, kPages});
    layer.in.lengths = b.input("lengths", DType::I32, {1});
    layer.cells = b.input("cells", DType::I32, {t});
    const TensorId sinks = c.sinks ? b.input("sinks", DType::F32, {kHeads}) : kNoTensor;
    RopeParams rope;
    rope.halves = c.halves;
    rope.rotated = static_cast<uint32_t>(c.depth);
    layer.keys = b.state("keys", c.k, {kPage * kPages, kKeyHeads, c.depth}, 1);
    const TensorId values = b.state("values", c.v, {kPage * kPages, kKeyHeads, c.value_depth}, 2);
    const TensorId keys =
        b.kv_write(layer.keys, b.rope(k, layer.in.positions, kNoTensor, rope), layer.cells);
    AttentionParams attention;
    attention.page_size = kPage;
    attention.scale = 0.3f;
    b.output(b.attention(b.rope(q, layer.in.positions, kNoTensor, rope), keys,
                         b.kv_write(values, v, layer.cells), layer.in, sinks, attention),
             "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    layer.graph = std::move(graph).value();
    return layer;
}

// Tokens behind kBefore others, pages in no order.
std::vector<RefValue> make_leaves(const Layer &layer, int64_t tokens, uint64_t seed) {
    auto leaves = random_leaves(layer.graph, std::vector<int64_t>{tokens}, seed);
    const auto page = [](int64_t i) { return i * 5 % kPages; };
    for (int64_t i = 0; i < kPages; ++i)
        leaves[layer.in.pages].data[static_cast<size_t>(i)] = static_cast<double>(page(i));
    for (int64_t i = 0; i < tokens; ++i) {
        const auto at = static_cast<size_t>(i);
        const int64_t position = kBefore + i;
        leaves[layer.in.positions].data[at] = static_cast<double>(position);
        leaves[layer.in.sequences].data[at] = 0;
        leaves[layer.cells].data[at] =
            static_cast<double>(page(position / kPage) * kPage + position % kPage);
    }
    leaves[layer.in.lengths].data = {static_cast<double>(kBefore + tokens)};
    return leaves;
}

// Attention is exact to some F32 roundings. An element of a new row that lies between two levels may be
// written as either: one of one key of hundreds, by a level of its type.
double tolerance(const Case &c) {
    const auto has = [&](DType type) { return c.k == type || c.v == type; };
    return has(DType::Q8_0) || has(DType::Q4_0) ? 5e-4 : 1e-5;
}

TEST(OpenClCache, BlocksAreWrittenAndRead) {
    const Case kCases[] = {
        {DType::Q8_0, DType::Q8_0, 64, 64, 1, true, false},
        {DType::Q4_0, DType::Q4_0, 128, 128, 1, true, true},
        {DType::Q4_0, DType::Q8_0, 96, 64, 3, false, false},
        {DType::F16, DType::Q4_0, 32, 96, 33, true, false},
        {DType::F16, DType::Q4_0, 96, 96, 2, true, false},
        {DType::Q4_0, DType::F16, 32, 32, 8, false, true},
    };
    for (const Case &c : kCases) {
        SCOPED_TRACE(static_cast<int>(&c - kCases));
        const Layer layer = make_layer(c);
        const TensorId y = layer.graph.outputs()[0];
        const std::vector<int64_t> symbols = {c.tokens};
        auto leaves = make_leaves(layer, c.tokens, 5);
        auto expected = leaves;
        ASSERT_TRUE(ref_run(layer.graph.view(), symbols, expected).ok());
        Backend backend;
        RZ_REQUIRE_OPENED(backend);
        for (const uint32_t flags : {0u, RZ_COMPILE_NO_FUSE}) {
            Loaded loaded(backend, layer.graph, symbols, leaves, flags);
            ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
            EXPECT_CODE(RZ_OK, backend.err, loaded.run());
            EXPECT_LE(distance(loaded.floats(y), expected[y]), tolerance(c));
            // The comparison sees a new row that went to another cell.
            auto other = leaves;
            other[layer.cells].data[0] = -1;
            ASSERT_TRUE(ref_run(layer.graph.view(), symbols, other).ok());
            EXPECT_GT(distance(loaded.floats(y), other[y]), tolerance(c));
        }
    }
}

} // namespace
} // namespace realizar::test
