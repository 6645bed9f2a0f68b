// Regions: a graph cut in pieces computes what the whole computes; hashes tell structures apart.
#include "core/graph/builder.h"
#include "random_graph.h"

#include <gtest/gtest.h>

#include <random>

namespace realizar {
namespace {

std::string name(const char *stem, uint64_t number) {
    return std::string(stem).append(std::to_string(number));
}

using test::make_random_graph;
using test::RandomGraph;

std::vector<RefValue> run_whole(const RandomGraph &random) {
    std::vector<RefValue> values = random.leaves;
    const Status status = ref_run(random.graph.view(), random.symbols, values);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return values;
}

// Runs the regions between the cuts one after another, carrying outputs and states over.
std::vector<RefValue> run_pieces(const RandomGraph &random, const std::vector<size_t> &cuts) {
    std::vector<RefValue> carried = random.leaves;
    size_t begin = 0;
    for (const size_t end : cuts) {
        const Graph::Region region = random.graph.extract(begin, end);
        begin = end;
        std::vector<RefValue> values(region.graph.tensors().size());
        for (TensorId id = 0; id < values.size(); ++id) {
            const rz_tensor &tensor = region.graph.tensors()[id];
            if (tensor.role != RZ_ROLE_TEMP && tensor.storage == id)
                values[id] = carried[region.original[id]];
        }
        const Status status = ref_run(region.graph.view(), random.symbols, values);
        EXPECT_TRUE(status.ok()) << status.error().message;
        for (TensorId id = 0; id < values.size(); ++id)
            if (region.graph.tensors()[id].role == RZ_ROLE_STATE)
                carried[region.original[id]] = values[id];
        for (const TensorId id : region.graph.outputs())
            carried[region.original[id]] = values[id];
    }
    return carried;
}

TEST(Extract, PiecesComputeWhatTheWholeComputes) {
    for (uint32_t seed = 0; seed < 30; ++seed) {
        SCOPED_TRACE(seed);
        const RandomGraph random = make_random_graph(seed, 12);
        const std::vector<RefValue> whole = run_whole(random);
        std::mt19937 engine(seed);
        std::vector<size_t> cuts;
        for (size_t n = 1; n < random.graph.nodes().size(); ++n)
            if (engine() % 3 == 0) cuts.push_back(n);
        cuts.push_back(random.graph.nodes().size());
        const std::vector<RefValue> pieces = run_pieces(random, cuts);
        for (const TensorId id : random.graph.outputs()) {
            EXPECT_EQ(whole[id].dims, pieces[id].dims);
            EXPECT_EQ(whole[id].data, pieces[id].data);
        }
        for (TensorId id = 0; id < random.leaves.size(); ++id)
            if (random.graph.tensors()[id].role == RZ_ROLE_STATE) {
                EXPECT_EQ(whole[id].data, pieces[id].data);
            }
    }
}

// Negative control for the comparison above: a changed weight shows.
TEST(Extract, ComparisonSeesAChangedWeight) {
    const RandomGraph random = make_random_graph(3, 12);
    RandomGraph changed = make_random_graph(3, 12);
    for (TensorId id = 0; id < changed.leaves.size(); ++id)
        if (changed.graph.tensors()[id].role == RZ_ROLE_INPUT && !changed.leaves[id].data.empty() &&
            changed.graph.tensors()[id].dtype == RZ_DTYPE_F32)
            changed.leaves[id].data[0] += 0.01;
    const std::vector<RefValue> a = run_whole(random);
    const std::vector<RefValue> b = run_pieces(changed, {changed.graph.nodes().size()});
    bool differs = false;
    for (const TensorId id : random.graph.outputs())
        differs |= a[id].data != b[id].data;
    EXPECT_TRUE(differs);
}

TEST(Extract, EveryRegionIsAValidGraph) {
    for (uint32_t seed = 100; seed < 110; ++seed) {
        const RandomGraph random = make_random_graph(seed, 10);
        const size_t count = random.graph.nodes().size();
        for (size_t begin = 0; begin < count; ++begin) {
            for (size_t end = begin; end <= count; ++end) {
                const Graph::Region region = random.graph.extract(begin, end);
                const Status status = validate_graph(region.graph.view());
                EXPECT_TRUE(status.ok())
                    << seed << " [" << begin << ", " << end << "): " << status.error().message;
                EXPECT_EQ(region.graph.nodes().size(), end - begin);
                EXPECT_EQ(region.original.size(), region.graph.tensors().size());
            }
        }
    }
}

TEST(Extract, EqualLayersHaveEqualHashes) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 8, 1);
    TensorId x = b.input("x", DType::F32, {t, 16});
    for (uint64_t layer = 0; layer < 3; ++layer) {
        const TensorId w = b.weight(name("norm", layer), DType::F32, {16}, 10 + layer);
        const TensorId m = b.weight(name("w", layer), DType::F32, {16, 16}, 20 + layer);
        x = b.add(x, b.matmul(m, b.rms_norm(x, w, layer == 2 ? 1e-6f : 1e-5f)));
    }
    b.output(x, "y");
    const auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    const uint64_t first = graph->extract(0, 3).graph.hash();
    EXPECT_EQ(first, graph->extract(3, 6).graph.hash());
    EXPECT_NE(first, graph->extract(6, 9).graph.hash()); // another epsilon
    EXPECT_NE(first, graph->extract(0, 6).graph.hash());
    EXPECT_NE(first, graph->extract(0, 2).graph.hash());
}

TEST(Hash, TellsStructuresApartButNotNamesAndKeys) {
    struct Options {
        int64_t width = 8;
        DType type = DType::F32;
        int64_t max = 8;
        float scale = 1;
        uint64_t key = 1;
        const char *name = "w";
        bool swapped = false;
    };
    const auto hash = [](const Options &o) {
        GraphBuilder b;
        const TensorId x = b.input("x", DType::F32, {b.symbol(1, o.max, 1), 32});
        const TensorId y = b.matmul(b.weight(o.name, o.type, {o.width, 32}, o.key), x);
        const TensorId z = b.scale(y, o.scale);
        b.output(o.swapped ? b.add(y, z) : b.add(z, y), "out");
        auto graph = std::move(b).build();
        EXPECT_TRUE(graph.ok());
        return graph->hash();
    };
    const uint64_t base = hash({});
    EXPECT_EQ(base, hash({}));
    EXPECT_EQ(base, hash({.key = 99}));
    EXPECT_EQ(base, hash({.name = "other"}));
    EXPECT_NE(base, hash({.width = 9}));
    EXPECT_NE(base, hash({.type = DType::Q8_0}));
    EXPECT_NE(base, hash({.max = 9}));
    EXPECT_NE(base, hash({.scale = 2}));
    EXPECT_NE(base, hash({.swapped = true}));
}

} // namespace
} // namespace realizar
