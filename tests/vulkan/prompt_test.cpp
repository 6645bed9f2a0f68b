// The forms of prompts: x and weights in F16, norm and GLU made on the way. Without cooperative matrices
// their place is taken by a plain kernel that reads the same bytes.
#include "backend.h"

#include "core/graph/builder.h"
#include "tests/graph/random_graph.h"

namespace realizar::vulkan::test {
namespace {

// F16 operands with F32 sums: about 2^-11 of the result, several products in a row.
constexpr double kTolerance = 2e-3;

// norm -> gate and up -> GLU -> down + residual, as in a feed-forward block.
Graph make_feed_forward(DType type, int64_t width, int64_t inner, bool weight) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 70, 40);
    const TensorId x = b.scale(b.input("x", DType::F32, {t, width}), 1.5f);
    const TensorId g = weight ? b.weight("g", DType::F32, {width}, 1) : kNoTensor;
    const TensorId normed = b.rms_norm(x, g, 1e-5f);
    const TensorId gate = b.matmul(b.weight("gate", type, {inner, width}, 2), normed);
    const TensorId up = b.matmul(b.weight("up", type, {inner, width}, 3), normed);
    const TensorId hidden = b.glu(UnaryKind::silu, gate, up);
    const TensorId down = b.matmul(b.weight("down", type, {width, inner}, 4), hidden);
    b.output(b.add(x, down), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

// The values of a weight as the device gets them: encoding 4-bit values anew may move them.
void encode_again(const Graph &graph, std::vector<RefValue> &leaves) {
    for (size_t i = 0; i < leaves.size(); ++i) {
        const rz_tensor &t = graph.tensors()[i];
        if (t.role != RZ_ROLE_WEIGHT) continue;
        std::vector<std::byte> bytes(row_bytes(static_cast<DType>(t.dtype), leaves[i].data.size()));
        ASSERT_TRUE(ref_to_bytes(leaves[i], t.dtype, bytes).ok());
        auto again = ref_from_bytes(t.dtype, leaves[i].dims, bytes);
        ASSERT_TRUE(again.ok());
        leaves[i] = std::move(again).value();
    }
}

struct Outcome {
    double distance = INFINITY;
    uint32_t dispatches = 0;
};

Outcome run_block(Backend &backend, const Graph &graph, int64_t rows, uint32_t seed) {
    const std::vector<int64_t> symbols = {rows};
    auto leaves = random_leaves(graph, symbols, seed);
    Loaded loaded(backend, graph, symbols, leaves);
    EXPECT_EQ(loaded.code, RZ_OK) << backend.err.message;
    if (loaded.code != RZ_OK) return {};
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    encode_again(graph, leaves);
    EXPECT_TRUE(ref_run(graph.view(), symbols, leaves).ok());
    const TensorId y = graph.outputs().front();
    return {distance(loaded.floats(y), leaves[y]), loaded.info().dispatches};
}

class Prompt : public testing::TestWithParam<const char *> {};

TEST_P(Prompt, FeedForwardMatchesTheReference) {
    const Variable tune("REALIZAR_VULKAN_TUNE", "half_plain:1");
    Backend backend(GetParam());
    RZ_REQUIRE_OPENED(backend);
    uint32_t seed = 0;
    for (const DType type :
         {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0, DType::Q2_K, DType::Q3_K,
          DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4}) {
        const bool super = dtype_info(type).block_elements == 256;
        const int64_t width = super ? 256 : 96, inner = super ? 512 : 160;
        const Graph graph = make_feed_forward(type, width, inner, seed % 2 == 0);
        const Outcome outcome = run_block(backend, graph, 9 + 13 * (seed % 4), seed);
        EXPECT_LE(outcome.distance, kTolerance) << dtype_info(type).name << " seed " << seed;
        // scale, x in F16 from the norm, two products, GLU in F16, a product: not 8
        EXPECT_EQ(outcome.dispatches, 6u);
        ++seed;
    }
    EXPECT_EQ(backend.host.errors, 0);
}
INSTANTIATE_TEST_SUITE_P(All, Prompt, testing::Values("", "half_weights"),
                         [](const auto &form) { return *form.param ? "decoding" : "copies"; });

TEST(PromptForms, FewRowsStillTakeTheirOwn) {
    const Variable tune("REALIZAR_VULKAN_TUNE", "half_plain:1");
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    for (const int64_t rows : {1, 3, 8}) // with activations in 8 bits
        EXPECT_LE(
            run_block(backend, make_feed_forward(DType::Q8_0, 128, 192, true), rows, 5).distance,
            0.02);
}

TEST(PromptForms, RandomGraphsMatchTheReference) {
    const Variable tune("REALIZAR_VULKAN_TUNE", "half_plain:1");
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    for (uint32_t seed = 20; seed < 30; ++seed) {
        const auto random = realizar::test::make_random_graph(seed, 14);
        auto expected = random.leaves;
        ASSERT_TRUE(ref_run(random.graph.view(), random.symbols, expected).ok());
        Loaded loaded(backend, random.graph, random.symbols, random.leaves);
        ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
        EXPECT_CODE(RZ_OK, backend.err, loaded.run());
        for (const TensorId out : random.graph.outputs())
            EXPECT_LE(distance(loaded.floats(out), expected[out]), 0.02) << "seed " << seed;
    }
    EXPECT_EQ(backend.host.errors, 0);
}

TEST(PromptForms, ControlSeesAnotherWeight) {
    const Variable tune("REALIZAR_VULKAN_TUNE", "half_plain:1");
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    const Graph graph = make_feed_forward(DType::Q8_0, 64, 96, true);
    const std::vector<int64_t> symbols = {20};
    auto leaves = random_leaves(graph, symbols, 3);
    Loaded loaded(backend, graph, symbols, leaves);
    ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    for (RefValue &leaf : leaves)
        if (leaf.dims == std::vector<int64_t>{96, 64})
            for (size_t i = 0; i < 64; ++i)
                leaf.data[i] += 0.5;
    ASSERT_TRUE(ref_run(graph.view(), symbols, leaves).ok());
    const TensorId y = graph.outputs().front();
    EXPECT_GT(distance(loaded.floats(y), leaves[y]), kTolerance);
}

} // namespace
} // namespace realizar::vulkan::test
