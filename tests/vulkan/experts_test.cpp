// EXPERT_MATMUL with few lines and with many, and with matrices that come as an input, which each submission
// packs anew.
#include "backend.h"

#include "core/graph/builder.h"

namespace realizar::vulkan::test {
namespace {

constexpr int64_t kExperts = 5, kRows = 37, kChosen = 3, kMost = 70;

struct Experts {
    Graph graph;
    TensorId w, ids;
};

Experts make_experts(DType type, int64_t depth, bool given) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, kMost, 1);
    const TensorId w = given ? b.input("w", type, {kExperts, kRows, depth})
                             : b.weight("w", type, {kExperts, kRows, depth}, 1);
    const TensorId ids = b.input("experts", DType::I32, {t, kChosen});
    b.output(b.expert_matmul(w, b.input("x", DType::F32, {t, 1, depth}), ids, kNoTensor), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return {std::move(graph).value(), w, ids};
}

TEST(Experts, MatchTheReferenceInEachForm) {
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    uint32_t seed = 0;
    for (const DType type : {DType::F16, DType::Q8_0, DType::Q5_1, DType::MXFP4})
        for (const bool given : {false, true})
            for (const int64_t tokens : {int64_t{1}, int64_t{9}, kMost}) {
                const Experts experts = make_experts(type, 96, given);
                const std::vector<int64_t> symbols = {tokens};
                auto leaves = random_leaves(experts.graph, symbols, ++seed);
                for (size_t i = 0; i < leaves[experts.ids].data.size(); ++i)
                    leaves[experts.ids].data[i] = static_cast<double>(i * 7 % 6); // 5: none
                Loaded loaded(backend, experts.graph, symbols, leaves);
                ASSERT_EQ(loaded.code, RZ_OK) << backend.err.message;
                EXPECT_CODE(RZ_OK, backend.err, loaded.run());
                std::vector<std::byte> bytes(
                    row_bytes(type, static_cast<uint64_t>(kExperts * kRows * 96)));
                RefValue &w = leaves[experts.w];
                ASSERT_TRUE(ref_to_bytes(w, static_cast<rz_dtype>(type), bytes).ok());
                w = std::move(ref_from_bytes(static_cast<rz_dtype>(type), w.dims, bytes)).value();
                ASSERT_TRUE(ref_run(experts.graph.view(), symbols, leaves).ok());
                const TensorId y = experts.graph.outputs().front();
                // x in 8 bits where weights are quantised.
                EXPECT_LE(distance(loaded.floats(y), leaves[y]), 0.02)
                    << dtype_info(type).name << " given " << given << " tokens " << tokens;
                for (double &id : leaves[experts.ids].data)
                    id = id < 5 ? static_cast<double>(static_cast<int>(id + 1) % 5) : id;
                ASSERT_TRUE(ref_run(experts.graph.view(), symbols, leaves).ok());
                EXPECT_GT(distance(loaded.floats(y), leaves[y]), 0.5) << "sees no other expert";
            }
}

} // namespace
} // namespace realizar::vulkan::test
