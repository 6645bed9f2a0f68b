// Attention of a few tokens over cached keys in F16: heads that share keys, widths with and without
// idle threads, several sequences, holes, windows, all variants of the scores.
#include "backend.h"

#include "core/graph/builder.h"

namespace realizar::vulkan::test {
namespace {

struct Case {
    int64_t heads, key_heads, depth, tokens;
    int32_t length;
    uint32_t window;
    bool sinks;
    float softcap, alibi;
};

constexpr int64_t kPage = 32, kPages = 40, kSequences = 2, kCells = kPage * kPages;

struct Built {
    Graph graph;
    AttentionInputs in;
};

Built build(const Case &c) {
    GraphBuilder b;
    Built built;
    const int64_t t = b.symbol(1, 8, 1);
    const TensorId q = b.input("q", DType::F32, {t, c.heads, c.depth});
    const TensorId k = b.state("k", DType::F16, {kCells, c.key_heads, c.depth}, 1);
    const TensorId v = b.state("v", DType::F16, {kCells, c.key_heads, c.depth}, 2);
    AttentionInputs &in = built.in;
    in.positions = b.input("positions", DType::I32, {t});
    in.sequences = b.input("sequences", DType::I32, {t});
    in.pages = b.input("pages", DType::I32, {kSequences, kPages});
    in.lengths = b.input("lengths", DType::I32, {kSequences});
    const TensorId sinks = c.sinks ? b.input("sinks", DType::F32, {c.heads}) : kNoTensor;
    AttentionParams params;
    params.page_size = kPage;
    params.scale = 0.3f;
    params.window = c.window;
    params.softcap = c.softcap;
    params.alibi_max_bias = c.alibi;
    b.output(b.attention(q, k, v, in, sinks, params), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    built.graph = std::move(graph).value();
    return built;
}

// The tokens are the last ones of sequence 1, whose pages lie in no order and have a hole.
std::vector<RefValue> make_leaves(const Built &built, const Case &c) {
    auto leaves = random_leaves(built.graph, std::vector<int64_t>{c.tokens}, 3);
    for (int64_t i = 0; i < c.tokens; ++i) {
        const auto at = static_cast<size_t>(i);
        leaves[built.in.positions].data[at] = static_cast<double>(c.length - c.tokens + i);
        leaves[built.in.sequences].data[at] = i == 1 ? -1 : 1; // one without a sequence
    }
    leaves[built.in.lengths].data = {0, static_cast<double>(c.length)};
    for (int64_t i = 0; i < kSequences * kPages; ++i)
        leaves[built.in.pages].data[static_cast<size_t>(i)] =
            static_cast<double>(i % kPages == 7 ? -1 : (i * 13) % kPages);
    return leaves;
}

constexpr Case kCases[] = {
    {4, 4, 128, 1, 1190, 0, false, 0, 0},  {6, 2, 128, 3, 700, 0, false, 0, 0},
    {8, 1, 64, 1, 333, 0, false, 0, 0},    {7, 1, 80, 2, 1280, 0, true, 0, 0},
    {12, 2, 256, 1, 65, 0, false, 20, 0},  {4, 2, 32, 8, 900, 100, false, 0, 0},
    {3, 1, 8, 1, 1, 0, true, 0, 0},        {10, 2, 96, 1, 1000, 500, true, 30, 8},
    {16, 16, 64, 1, 129, 0, false, 0, 8.0}};

TEST(AttentionDecode, MatchesTheReference) {
    for (const Case &c : kCases) {
        SCOPED_TRACE(std::to_string(c.heads) + " heads of " + std::to_string(c.depth));
        const Built built = build(c);
        const Graph &graph = built.graph;
        const std::vector<int64_t> symbols = {c.tokens};
        auto leaves = make_leaves(built, c);
        auto expected = leaves;
        ASSERT_TRUE(ref_run(graph.view(), symbols, expected).ok());
        const TensorId y = graph.outputs()[0];
        for (const char *disabled : {"", "decode_attention"}) {
            Backend backend(disabled);
            RZ_REQUIRE_OPENED(backend);
            Loaded loaded(backend, graph, symbols, leaves);
            ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
            for (int run = 0; run < 2; ++run) { // the second one meets what the first one left
                EXPECT_CODE(RZ_OK, backend.err, loaded.run());
                EXPECT_LE(distance(loaded.floats(y), expected[y]), 1e-5) << disabled;
            }
            if (*disabled != '\0') continue;
            EXPECT_EQ(loaded.info().dispatches, 1u) << "not the fused form";
        }
        if (c.length < 40) continue;
        leaves[built.in.positions].data[0] -= 40; // sees 40 keys fewer
        ASSERT_TRUE(ref_run(graph.view(), symbols, leaves).ok());
        Backend backend;
        Loaded loaded(backend, graph, symbols, make_leaves(built, c));
        EXPECT_CODE(RZ_OK, backend.err, loaded.run());
        EXPECT_GT(distance(loaded.floats(y), leaves[y]), 1e-4) << "the comparison sees nothing";
    }
}

} // namespace
} // namespace realizar::vulkan::test
