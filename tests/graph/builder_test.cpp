#include "core/graph/builder.h"
#include "core/graph/layout.h"

#include <gtest/gtest.h>

namespace realizar {
namespace {

TEST(Builder, InfersShapesThroughALayer) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 64, 1);
    const TensorId ids = b.input("ids", DType::I32, {t});
    const TensorId table = b.weight("embedding", DType::Q8_0, {100, 64}, 1);
    const TensorId x = b.get_rows(table, ids);
    const TensorId qkv = b.matmul(b.weight("qkv", DType::F16, {96, 64}, 2), x);
    const TensorId v = b.split_inner(b.slice_inner(qkv, 64, 32), 8);
    EXPECT_EQ(b.shape(v), (Shape{t, 4, 8}));
    const TensorId flat = b.reshape(b.copy(v, DType::F32), {t, 32});
    const TensorId y = b.matmul(b.weight("out", DType::F32, {64, 32}, 3), flat);
    const auto [values, indices] = b.top_k(b.add(x, y), 5);
    EXPECT_EQ(b.shape(values), (Shape{t, 5}));
    b.output(indices, "best");
    auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    EXPECT_EQ(graph->find("ids"), ids);
    EXPECT_EQ(graph->find("best"), indices);
    EXPECT_EQ(graph->find("embedding"), kNoTensor); // neither input nor output
    EXPECT_EQ(graph->tensors()[indices].dtype, uint32_t{RZ_DTYPE_I32});
    const rz_tensor &view = graph->tensors()[v];
    EXPECT_EQ(view.storage, qkv);
    EXPECT_EQ(view.offset, 64 * sizeof(float));
    EXPECT_EQ(view.strides[0], int64_t{96 * sizeof(float)});
    EXPECT_EQ(view.strides[1], int64_t{8 * sizeof(float)});
}

TEST(Builder, FirstErrorSticksAndNamesTheTensor) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 8, 1);
    const TensorId x = b.input("x", DType::F32, {t, 512});
    const TensorId w = b.weight("blk.0.attn_q.weight", DType::F32, {512, 256}, 7);
    const TensorId y = b.matmul(w, x);
    EXPECT_EQ(y, kNoTensor);
    EXPECT_EQ(b.shape(y).rank, 0u);
    EXPECT_EQ(b.shape(y).inner(), 0);
    const TensorId z = b.add(b.reshape(y, {t, 4}), b.softmax(y, 1)); // later calls do nothing
    b.output(z, "z");
    const auto graph = std::move(b).build();
    ASSERT_FALSE(graph.ok());
    EXPECT_EQ(graph.error().message, "MATMUL weight 'blk.0.attn_q.weight': expected K = 512 as "
                                     "in x [s0, 512], found F32 [512, 256]");
}

TEST(Builder, AskingForAWeightAgainGivesTheSameTensor) {
    GraphBuilder b;
    const TensorId w = b.weight("token_embd.weight", DType::Q4_0, {64, 32}, 9);
    EXPECT_EQ(b.weight("token_embd.weight", DType::Q4_0, {64, 32}, 9), w);
    EXPECT_NE(b.weight("other.weight", DType::Q4_0, {64, 32}, 10), w);
}

TEST(Builder, OutputsThatAreViewsOrLeavesAreCopied) {
    GraphBuilder b;
    const TensorId x = b.input("x", DType::F32, {6, 8});
    const TensorId y = b.scale(x, 2);
    b.output(b.slice_inner(y, 2, 3), "slice");
    b.output(x, "leaf");
    b.output(y, "first");
    b.output(y, "second");
    const auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    EXPECT_EQ(graph->nodes().size(), 4u); // SCALE and three COPYs
    EXPECT_EQ(graph->shape(graph->find("slice")), (Shape{6, 3}));
    EXPECT_EQ(graph->find("first"), y);
    EXPECT_NE(graph->find("second"), y);
}

struct BadView {
    const char *message;
    void (*build)(GraphBuilder &b);
};

TEST(Builder, RefusesViewsThatDoNotFit) {
    const BadView cases[] = {
        {"reshape 'x': expected a contiguous tensor with as many elements as [s0, 7]",
         [](GraphBuilder &b) {
             b.reshape(b.input("x", DType::F32, {b.symbol(1, 2, 1), 8}), {RZ_SYMBOL(0), 7});
         }},
        {"reshape",
         [](GraphBuilder &b) { // a symbol must stay
             b.reshape(b.input("x", DType::F32, {b.symbol(1, 2, 1), 8}), {2, 4});
         }},
        {"found a slice [6, 4]",
         [](GraphBuilder &b) {
             b.reshape(b.slice_inner(b.input("x", DType::F32, {6, 8}), 0, 4), {24});
         }},
        {"slice_inner 'x': expected columns within [6, 8]",
         [](GraphBuilder &b) {
             b.slice_inner(b.input("x", DType::F32, {6, 8}), 5, 4);
         }},
        {"in whole blocks of 32",
         [](GraphBuilder &b) {
             b.slice_inner(b.weight("w", DType::Q8_0, {6, 64}, 1), 16, 32);
         }},
        {"split_inner 'x'",
         [](GraphBuilder &b) {
             b.split_inner(b.input("x", DType::F32, {6, 8}), 3);
         }},
        {"expected 1 to 4 dimensions, found 5",
         [](GraphBuilder &b) {
             b.input("x", DType::F32, {1, 1, 1, 1, 1});
         }},
        {"ADD: expected a tensor below",
         [](GraphBuilder &b) { b.add(77, b.input("x", DType::F32, {1})); }},
        {"set_name: expected a tensor, found none",
         [](GraphBuilder &b) { b.set_name(kNoTensor, "y"); }},
        {"tensor 0 'w': expected a multiple of the 32 elements of a Q8_0 block",
         [](GraphBuilder &b) {
             b.weight("w", DType::Q8_0, {6, 33}, 1);
         }},
        {"symbol 0: expected 0 <= min <= hint <= max", [](GraphBuilder &b) { b.symbol(5, 4, 5); }},
    };
    for (const BadView &c : cases) {
        SCOPED_TRACE(c.message);
        GraphBuilder b;
        c.build(b);
        const auto graph = std::move(b).build();
        ASSERT_FALSE(graph.ok());
        EXPECT_NE(graph.error().message.find(c.message), std::string::npos)
            << graph.error().message;
    }
}

TEST(Layout, SpansOfStridedTensors) {
    rz_tensor tensor{};
    tensor.dtype = RZ_DTYPE_Q8_0;
    tensor.rank = 3;
    tensor.dims[0] = 5;
    tensor.dims[1] = 3;
    tensor.dims[2] = 64;
    set_contiguous_strides(tensor);
    EXPECT_EQ(tensor.strides[2], 34);
    EXPECT_EQ(tensor.strides[1], 68);
    EXPECT_EQ(tensor.strides[0], 204);
    EXPECT_EQ(tensor_span(tensor, 5), uint64_t{5 * 204});
    EXPECT_EQ(tensor_span(tensor, 0), 0u);
    tensor.dims[1] = 2; // the rest is a gap
    EXPECT_FALSE(is_contiguous(tensor));
    EXPECT_EQ(tensor_span(tensor, 5), uint64_t{4 * 204 + 2 * 68});
    tensor.strides[0] = INT64_MAX;
    EXPECT_EQ(tensor_span(tensor, 5), UINT64_MAX);
}

} // namespace
} // namespace realizar
