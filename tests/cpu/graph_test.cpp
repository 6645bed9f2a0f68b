// Whole graphs: against the float64 reference, and the forms of one program against each other.
#include "backend.h"

#include "core/graph/builder.h"

#include "tests/graph/random_graph.h"

namespace realizar::cpu::test {
namespace {

using realizar::test::make_random_graph;
using realizar::test::RandomGraph;

std::vector<RefValue> reference(const RandomGraph &random) {
    std::vector<RefValue> values = random.leaves;
    const Status status = ref_run(random.graph.view(), random.symbols, values);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return values;
}

// Root mean square of the difference relative to that of the reference.
double distance(const Floats &y, const RefValue &expected) {
    if (y.size() != expected.data.size()) return INFINITY;
    double error = 0, size = 0;
    for (size_t i = 0; i < y.size(); ++i) {
        const double d = y[i] - expected.data[i];
        error += d * d;
        size += expected.data[i] * expected.data[i];
    }
    return std::sqrt(error / (size + 1e-20));
}

TEST(Graphs, MatchTheReferenceOnEveryInstructionSet) {
    for (uint32_t seed = 0; seed < 40; ++seed) {
        const RandomGraph random = make_random_graph(seed, 14);
        const auto expected = reference(random);
        for (const Kernels *kernels : available_kernels())
            for (const uint32_t threads : {1u, 3u}) {
                Backend backend(threads, kernels->isa);
                Loaded loaded(backend, random.graph, random.symbols, random.leaves);
                EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
                // Caches in F16 round a value the other way now and then: 2^-11 of it.
                for (const TensorId out : random.graph.outputs())
                    EXPECT_LE(distance(loaded.floats(out), expected[out]), 1e-3)
                        << "seed " << seed << ' ' << kernels->isa << " threads " << threads;
            }
    }
}

TEST(Graphs, ControlSeesAnotherSeed) {
    const RandomGraph random = make_random_graph(1, 14), other = make_random_graph(2, 14);
    const auto expected = reference(random);
    Backend backend(1);
    RandomGraph changed = make_random_graph(1, 14);
    for (RefValue &leaf : changed.leaves)
        if (leaf.data.size() == 1 || leaf.dims.size() != 2)
            continue;
        else
            leaf.data[0] += 0.05;
    Loaded loaded(backend, changed.graph, changed.symbols, changed.leaves);
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
    double largest = 0;
    for (const TensorId out : changed.graph.outputs())
        largest = std::max(largest, distance(loaded.floats(out), expected[out]));
    EXPECT_GT(largest, 1e-3);
}

// Fusion and threads change the order of steps, never the arithmetic.
TEST(Graphs, FormsAreEqualBitByBit) {
    for (uint32_t seed = 100; seed < 160; ++seed) {
        const RandomGraph random = make_random_graph(seed, 25);
        std::vector<std::vector<std::byte>> first;
        for (const uint32_t flags : {0u, RZ_COMPILE_NO_FUSE})
            for (const uint32_t threads : {1u, 4u}) {
                Backend backend(threads);
                Loaded loaded(backend, random.graph, random.symbols, random.leaves, flags);
                std::vector<std::vector<std::byte>> results;
                // Twice: temporaries hold the values of the first run then.
                for (int run = 0; run < 2; ++run)
                    EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
                for (const TensorId out : random.graph.outputs())
                    results.push_back(loaded.result(out));
                if (first.empty()) first = results;
                EXPECT_EQ(results, first)
                    << "seed " << seed << " flags " << flags << " threads " << threads;
            }
    }
}

TEST(Graphs, FusionSavesPhases) {
    const RandomGraph random = make_random_graph(100, 25);
    Backend backend(2);
    rz_program_info info[2];
    for (int fuse = 0; fuse < 2; ++fuse) {
        Loaded loaded(backend, random.graph, random.symbols, random.leaves,
                      fuse ? 0 : RZ_COMPILE_NO_FUSE);
        info[fuse] = {};
        info[fuse].struct_size = sizeof(rz_program_info);
        EXPECT_CODE(RZ_OK, backend.err,
                    backend.api.program->info(loaded.program, &info[fuse], &backend.err));
    }
    EXPECT_EQ(info[0].fused_nodes, 0u);
    EXPECT_GE(info[0].dispatches, random.graph.nodes().size());
    EXPECT_GT(info[1].fused_nodes, 0u);
    EXPECT_LT(info[1].dispatches, info[0].dispatches);
    EXPECT_GT(info[1].scratch_bytes, 0u);
}

// A decoder of `layers` llama-like layers with quantised weights.
Graph make_decoder(uint64_t layers) {
    GraphBuilder b;
    constexpr int64_t kWidth = 64, kHeadDim = 32, kInner = 96, kCells = 32;
    const int64_t t = b.symbol(1, 8, 1);
    const TensorId cells = b.input("cells", DType::I32, {t});
    AttentionInputs in;
    in.positions = b.input("positions", DType::I32, {t});
    in.sequences = b.input("sequences", DType::I32, {t});
    in.pages = b.input("pages", DType::I32, {1, 2});
    in.lengths = b.input("lengths", DType::I32, {1});
    AttentionParams attention;
    attention.page_size = 16;
    RopeParams rope;
    rope.rotated = kHeadDim;
    TensorId h = b.input("h", DType::F32, {t, kWidth});
    uint64_t key = 0;
    const auto project = [&](TensorId x, int64_t rows) {
        return b.matmul(b.weight("w", DType::Q8_0, {rows, b.shape(x).inner()}, ++key), x);
    };
    const auto norm = [&](TensorId x) {
        return b.rms_norm(x, b.weight("norm", DType::F32, {kWidth}, ++key), 1e-5f);
    };
    for (uint64_t layer = 0; layer < layers; ++layer) {
        const TensorId x = norm(h);
        const TensorId k = b.state("k", DType::F16, {kCells, 1, kHeadDim}, ++key);
        const TensorId v = b.state("v", DType::F16, {kCells, 1, kHeadDim}, ++key);
        const TensorId q = b.split_inner(project(x, kWidth), kHeadDim);
        const TensorId new_k = b.split_inner(project(x, kHeadDim), kHeadDim);
        const TensorId new_v = b.split_inner(project(x, kHeadDim), kHeadDim);
        b.kv_write(k, b.rope(new_k, in.positions, kNoTensor, rope), cells);
        b.kv_write(v, new_v, cells);
        const TensorId seen =
            b.attention(b.rope(q, in.positions, kNoTensor, rope), k, v, in, kNoTensor, attention);
        h = b.add(h, project(b.reshape(seen, {t, kWidth}), kWidth));
        const TensorId y = norm(h);
        const TensorId gate = project(y, kInner), up = project(y, kInner);
        h = b.add(h, project(b.glu(UnaryKind::silu, gate, up), kWidth));
    }
    b.output(h, "out");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(*graph);
}

// README.md: ten phases a layer; the last sum is one more.
TEST(Graphs, DecoderLayerTakesTenPhases) {
    for (const uint64_t layers : {1u, 2u, 5u}) {
        const Graph graph = make_decoder(layers);
        std::vector<RefValue> leaves(graph.tensors().size());
        for (uint32_t i = 0; i < leaves.size(); ++i) {
            const rz_tensor &t = graph.tensors()[i];
            if (t.role == RZ_ROLE_TEMP || t.storage != i) continue;
            uint64_t n = 1;
            for (uint32_t d = 0; d < t.rank; ++d) {
                leaves[i].dims.push_back(t.dims[d] < 0 ? 1 : t.dims[d]);
                n *= static_cast<uint64_t>(leaves[i].dims.back());
            }
            leaves[i].data.assign(n, 0.0);
        }
        Backend backend(2);
        Loaded loaded(backend, graph, {1}, leaves);
        rz_program_info info{};
        info.struct_size = sizeof info;
        EXPECT_CODE(RZ_OK, backend.err,
                    backend.api.program->info(loaded.program, &info, &backend.err));
        EXPECT_EQ(info.dispatches, 10 * layers + 1);
        EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
        EXPECT_EQ(backend.counters().dispatches, 10 * layers + 1);
    }
}

TEST(Graphs, SymbolsOutOfBoundsAreRefused) {
    const RandomGraph random = make_random_graph(7, 14);
    Backend backend(2);
    Loaded loaded(backend, random.graph, random.symbols, random.leaves);
    for (const int64_t bad : {int64_t{0}, int64_t{21}, int64_t{-1}}) {
        rz_submit submit{};
        submit.struct_size = sizeof submit;
        submit.instance = loaded.instance;
        submit.symbols = &bad;
        submit.symbol_count = 1;
        EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err,
                    backend.api.queue->submit(backend.queue, &submit, &backend.err));
    }
    EXPECT_EQ(backend.counters().submissions, 0u);
}

} // namespace
} // namespace realizar::cpu::test
