// EXPERT_MATMUL with packed stacks against float64. Activations are whole numbers that survive the rounding
// to 8 bits, so that only sums of floats differ.
#include "backend.h"

#include "core/graph/builder.h"

#include <algorithm>

namespace realizar::cpu::test {
namespace {

constexpr int64_t kExperts = 5, kK = 512, kChosen = 3;

struct Shape {
    int64_t tokens, rows; // of each expert
    bool named, shared, bias;
};

struct Model {
    Graph graph;
    TensorId w, x, y, experts = kNoTensor;
    std::vector<RefValue> leaves;
};

// Whole numbers in -127..127, one of them at an end in each block of 256.
std::vector<double> whole_numbers(Random &random, int64_t count) {
    std::vector<double> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i)
        values[i] = i % 32 == 7 ? 127 : static_cast<double>(random() % 255) - 127;
    return values;
}

Model make_model(DType dtype, const Shape &s, uint32_t seed) {
    Random random(seed);
    GraphBuilder b;
    Model m;
    const int64_t j = s.named ? kChosen : kExperts;
    const int64_t t = b.symbol(1, 80, 1), x_rows = s.shared ? 1 : j;
    m.x = b.input("x", DType::F32, {t, x_rows, kK});
    m.w = b.weight("w", dtype, {kExperts, s.rows, kK}, 1);
    const TensorId bias = s.bias ? b.weight("bias", DType::F32, {kExperts, s.rows}, 2) : kNoTensor;
    if (s.named) m.experts = b.input("experts", DType::I32, {t, kChosen});
    m.y = b.expert_matmul(m.w, m.x, m.experts, bias);
    b.output(m.y, "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    m.graph = std::move(*graph);
    m.leaves.resize(m.graph.tensors().size());
    m.leaves[m.x] = {{s.tokens, x_rows, kK}, whole_numbers(random, s.tokens * x_rows * kK)};
    const auto count = static_cast<size_t>(kExperts * s.rows);
    const WeightRows weights(random, dtype, count, kK);
    m.leaves[m.w] = {{kExperts, s.rows, kK}, {weights.values.begin(), weights.values.end()}};
    if (s.bias) {
        const Floats values = random_floats(random, count);
        m.leaves[bias] = {{kExperts, s.rows}, {values.begin(), values.end()}};
    }
    if (s.named) {
        std::vector<double> ids(static_cast<size_t>(s.tokens * kChosen));
        for (double &id : ids) // one expert is never chosen, -1 and 5 are none
            id = static_cast<double>(random() % 7) - 1;
        std::replace(ids.begin(), ids.end(), 2.0, 3.0);
        m.leaves[m.experts] = {{s.tokens, kChosen}, ids};
    }
    return m;
}

// What loading makes of the weights: encoding decoded values again need not give the same ones.
void reload_weights(const Model &m, DType dtype, std::vector<RefValue> &values) {
    std::vector<double> &w = values[m.w].data;
    std::vector<std::byte> bytes(row_bytes(dtype, w.size()));
    ASSERT_TRUE(ref_to_bytes(values[m.w], static_cast<rz_dtype>(dtype), bytes).ok());
    Floats decoded(w.size());
    find_codec(dtype)->decode(bytes.data(), decoded.data(), decoded.size());
    w.assign(decoded.begin(), decoded.end());
}

double distance(const Floats &y, const RefValue &expected) {
    if (y.size() != expected.data.size()) return INFINITY;
    double error = 0, size = 0;
    for (size_t i = 0; i < y.size(); ++i) {
        error += (y[i] - expected.data[i]) * (y[i] - expected.data[i]);
        size += expected.data[i] * expected.data[i];
    }
    return std::sqrt(error / (size + 1e-20));
}

Floats run(const Model &m, const Shape &s, const char *isa) {
    Backend backend(2, isa);
    Loaded loaded(backend, m.graph, {s.tokens}, m.leaves);
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
    return loaded.floats(m.y);
}

constexpr Shape kShapes[] = {
    {1, 48, true, true, false},   {2, 80, true, false, true},  {40, 48, true, true, true},
    {33, 64, true, false, false}, {3, 32, false, false, true}, {17, 1040, false, true, false},
    {70, 32, false, false, true},
};

TEST(PackedExperts, MatchTheReference) {
    for (const DType dtype :
         {DType::Q4_K, DType::Q6_K, DType::IQ4_XS, DType::Q8_0, DType::Q5_0, DType::MXFP4})
        for (const Shape &s : kShapes) {
            if (s.rows > 1000 && dtype != DType::Q8_0) continue; // slow to encode
            const Model m = make_model(dtype, s, 7);
            std::vector<RefValue> values = m.leaves;
            reload_weights(m, dtype, values);
            const int64_t symbols[] = {s.tokens};
            ASSERT_TRUE(ref_run(m.graph.view(), symbols, values).ok());
            for (const Kernels *k : available_kernels())
                // Sums of 512 floats: 8 + 2 sqrt(512) half units, with offsets 8 times as large.
                EXPECT_LE(distance(run(m, s, k->isa), values[m.y]), 8 * 53 * 0x1p-24)
                    << dtype_info(dtype).name << ' ' << k->isa << " tokens " << s.tokens << " rows "
                    << s.rows;
        }
}

TEST(PackedExperts, ControlSeesAnotherExpert) {
    const Shape s = kShapes[3];
    const Model m = make_model(DType::Q4_K, s, 7);
    std::vector<RefValue> values = m.leaves;
    reload_weights(m, DType::Q4_K, values);
    // Another choice for one token.
    double &id = values[m.experts].data[5];
    id = id == 0 ? 1 : 0;
    const int64_t symbols[] = {s.tokens};
    ASSERT_TRUE(ref_run(m.graph.view(), symbols, values).ok());
    EXPECT_GT(distance(run(m, s, nullptr), values[m.y]), 1e-2);
}

// Stacks are packed: none of their bytes stay in the source.
TEST(PackedExperts, StacksArePacked) {
    if (!available_kernels().back()->packed[kQ4_K])
        GTEST_SKIP() << "this machine has no vectors to pack for";
    for (const int64_t rows : {48, 40}) { // 40 does not fill its groups
        const Model m = make_model(DType::Q4_K, {1, rows, true, true, false}, 3);
        Backend backend(1);
        const rz_graph view = m.graph.view();
        rz_weights_plan plan{};
        plan.struct_size = sizeof plan;
        EXPECT_CODE(RZ_OK, backend.err,
                    backend.api.weights->plan(backend.device, &view, &plan, &backend.err));
        const uint64_t bytes = row_bytes(DType::Q4_K, static_cast<uint64_t>(kExperts * rows * kK));
        EXPECT_EQ(rows % 16 == 0 ? plan.resident : plan.aliased, bytes);
    }
}

} // namespace
} // namespace realizar::cpu::test
