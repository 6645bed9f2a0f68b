// Whole graphs: against the float64 reference, and the forms of one program against each other.
#include "backend.h"

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
