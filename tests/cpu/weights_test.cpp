// Weights: in place or copied, and what a wrong load costs.
#include "backend.h"

#include "core/graph/builder.h"

#include <algorithm>

namespace realizar::cpu::test {
namespace {

constexpr int64_t kFewRows = 10, kColumns = 64; // too few rows to be packed
constexpr uint64_t kRowBytes = kColumns / 32 * 34;
constexpr uint64_t kKey = 77;

class Weights : public testing::Test {
  protected:
    explicit Weights(int64_t count = kFewRows) : kRows(count) {
        GraphBuilder b;
        x = b.input("x", DType::F32, {1, kColumns});
        const TensorId w = b.weight("table", DType::Q8_0, {kRows, kColumns}, kKey);
        ids = b.input("ids", DType::I32, {3});
        // One weight for both: an embedding that is tied to the head.
        logits = b.matmul(w, x);
        rows = b.get_rows(w, ids);
        b.output(logits, "logits");
        b.output(rows, "rows");
        auto built = std::move(b).build();
        EXPECT_TRUE(built.ok()) << built.error().message;
        graph = std::move(*built);
        Random random(3);
        const WeightRows source(random, DType::Q8_0, static_cast<uint64_t>(kRows), kColumns);
        bytes = source.bytes;
        values = source.values;
    }
    rz_weights *create(uint64_t budget = 0) {
        const rz_graph view = graph.view();
        rz_weights *out = nullptr;
        EXPECT_CODE(RZ_OK, backend.err,
                    backend.api.weights->create(backend.device, &view, budget, &out, &backend.err));
        return out;
    }
    rz_code load(rz_weights *weights, uint64_t begin, uint64_t count, uint32_t flags,
                 uint64_t key = kKey, int64_t extra = 0) {
        return backend.api.weights->load(
            weights, key, begin, count, bytes.data() + begin * kRowBytes,
            count * kRowBytes + static_cast<uint64_t>(extra), flags, &backend.err);
    }
    // Row 4 through both operators.
    void check_values(rz_weights *weights) {
        const rz_graph view = graph.view();
        auto &api = backend.api;
        rz_program *program = nullptr;
        rz_instance *instance = nullptr;
        EXPECT_CODE(
            RZ_OK, backend.err,
            api.program->compile(backend.device, &view, weights, nullptr, &program, &backend.err));
        EXPECT_CODE(RZ_OK, backend.err, api.instance->create(program, &instance, &backend.err));
        Floats input(kColumns), y(static_cast<size_t>(kRows)), table(3 * kColumns);
        input[5] = 127.0f;
        const int32_t wanted[3] = {4, -1, static_cast<int32_t>(kRows)};
        const rz_update updates[] = {
            {sizeof(rz_update), 0, x, 0, 0, input.size() * 4, input.data()},
            {sizeof(rz_update), 0, ids, 0, 0, sizeof wanted, wanted}};
        const rz_read reads[] = {{sizeof(rz_read), 0, logits, 0, 0, y.size() * 4, y.data()},
                                 {sizeof(rz_read), 0, rows, 0, 0, table.size() * 4, table.data()}};
        rz_submit submit{};
        submit.struct_size = sizeof submit;
        submit.instance = instance;
        submit.updates = updates;
        submit.update_count = 2;
        submit.update_stride = sizeof(rz_update);
        submit.reads = reads;
        submit.read_count = 2;
        submit.read_stride = sizeof(rz_read);
        EXPECT_CODE(RZ_OK, backend.err, api.queue->submit(backend.queue, &submit, &backend.err));
        for (int64_t r = 0; r < kRows; ++r)
            EXPECT_NEAR(y[static_cast<size_t>(r)],
                        127.0f * values[static_cast<size_t>(r * kColumns + 5)], 1e-4);
        for (size_t i = 0; i < kColumns; ++i) {
            EXPECT_FLOAT_EQ(table[i], values[4 * kColumns + i]);
            EXPECT_EQ(table[kColumns + i], 0.0f);     // id -1
            EXPECT_EQ(table[2 * kColumns + i], 0.0f); // id kRows
        }
        api.instance->destroy(instance);
        api.program->destroy(program);
    }

    const int64_t kRows;
    Backend backend{2};
    Graph graph;
    TensorId x, ids, logits, rows;
    std::vector<std::byte> bytes;
    Floats values;
};

TEST_F(Weights, StableSourceIsUsedInPlace) {
    rz_weights *w = create(1); // a budget that no copy would fit
    EXPECT_CODE(RZ_OK, backend.err, load(w, 0, 4, RZ_LOAD_STABLE));
    EXPECT_CODE(RZ_OK, backend.err, load(w, 4, 6, RZ_LOAD_STABLE));
    EXPECT_CODE(RZ_OK, backend.err, backend.api.weights->finish(w, &backend.err));
    EXPECT_EQ(backend.blocks, 0);
    check_values(w);
    backend.api.weights->destroy(w);
}

TEST_F(Weights, OtherSourcesAreCopied) {
    rz_weights *w = create();
    EXPECT_CODE(RZ_OK, backend.err, load(w, 0, 3, 0));
    EXPECT_CODE(RZ_OK, backend.err, load(w, 3, 7, RZ_LOAD_STABLE));
    EXPECT_CODE(RZ_OK, backend.err, backend.api.weights->finish(w, &backend.err));
    const auto kept = bytes;
    std::fill(bytes.begin(), bytes.end(), std::byte{0xee});
    check_values(w);
    bytes = kept;
    backend.api.weights->destroy(w);
}

TEST_F(Weights, BeginsStableAndGoesOnElsewhere) {
    rz_weights *w = create();
    EXPECT_CODE(RZ_OK, backend.err, load(w, 0, 3, RZ_LOAD_STABLE));
    const auto other = bytes;
    EXPECT_CODE(RZ_OK, backend.err,
                backend.api.weights->load(w, kKey, 3, 7, other.data() + 3 * kRowBytes,
                                          7 * kRowBytes, RZ_LOAD_STABLE, &backend.err));
    EXPECT_CODE(RZ_OK, backend.err, backend.api.weights->finish(w, &backend.err));
    check_values(w);
    backend.api.weights->destroy(w);
}

TEST_F(Weights, WrongLoadsAreRefused) {
    rz_weights *w = create();
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err, load(w, 0, 4, 0, 78));      // no such key
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err, load(w, 1, 4, 0));          // a gap
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err, load(w, 0, 11, 0));         // too many
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err, load(w, 0, 4, 0, kKey, 1)); // odd size
    EXPECT_CODE(RZ_UNSUPPORTED, backend.err, load(w, 0, 4, 1));               // unknown flag
    EXPECT_CODE(RZ_OK, backend.err, load(w, 0, 4, 0));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err, load(w, 0, 4, 0)); // again
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err, backend.api.weights->finish(w, &backend.err));
    EXPECT_NE(std::string(backend.err.message).find("table"), std::string::npos);
    backend.cancelled = true;
    EXPECT_CODE(RZ_CANCELLED, backend.err, load(w, 4, 6, 0));
    backend.api.weights->destroy(w);
}

TEST_F(Weights, BudgetAndMemoryAreRespected) {
    rz_weights *w = create(kFewRows * kRowBytes - 1);
    EXPECT_CODE(RZ_OUT_OF_MEMORY, backend.err, load(w, 0, 4, 0));
    backend.api.weights->destroy(w);
    w = create();
    backend.out_of_memory = true;
    EXPECT_CODE(RZ_OUT_OF_MEMORY, backend.err, load(w, 0, 4, 0));
    backend.out_of_memory = false;
    EXPECT_CODE(RZ_OK, backend.err, load(w, 0, 10, 0));
    EXPECT_GE(backend.counters().memory_used, kFewRows * kRowBytes);
    backend.api.weights->destroy(w);
    EXPECT_EQ(backend.counters().memory_used, 0u);
}

class PackedWeights : public Weights {
  protected:
    static constexpr int64_t kMany = 44;
    PackedWeights() : Weights(kMany) {}
    rz_weights_plan plan() {
        const rz_graph view = graph.view();
        rz_weights_plan out{};
        out.struct_size = sizeof out;
        EXPECT_CODE(RZ_OK, backend.err,
                    backend.api.weights->plan(backend.device, &view, &out, &backend.err));
        return out;
    }
};

// In pieces that end within groups of rows, from a source that goes away.
TEST_F(PackedWeights, ServeBothOperatorsWithoutTheirSource) {
    if (std::string(available_kernels().back()->isa) == "scalar")
        GTEST_SKIP() << "this machine has no vectors to pack for";
    EXPECT_GE(plan().resident, kMany * kRowBytes);
    EXPECT_EQ(plan().aliased, 0u);
    rz_weights *w = create();
    EXPECT_CODE(RZ_OK, backend.err, load(w, 0, 3, 0));
    EXPECT_CODE(RZ_OK, backend.err, load(w, 3, 20, RZ_LOAD_STABLE));
    EXPECT_CODE(RZ_OK, backend.err, load(w, 23, 21, RZ_LOAD_STABLE));
    EXPECT_CODE(RZ_OK, backend.err, backend.api.weights->finish(w, &backend.err));
    std::fill(bytes.begin(), bytes.end(), std::byte{0xee});
    check_values(w);
    backend.api.weights->destroy(w);
    EXPECT_EQ(backend.counters().memory_used, 0u);
}

TEST_F(PackedWeights, BudgetAndMemoryAreKnownBeforeLoading) {
    if (plan().resident == 0) GTEST_SKIP() << "this machine has no vectors to pack for";
    const rz_graph view = graph.view();
    rz_weights *w = nullptr;
    EXPECT_CODE(
        RZ_OUT_OF_MEMORY, backend.err,
        backend.api.weights->create(backend.device, &view, plan().resident - 1, &w, &backend.err));
    backend.out_of_memory = true;
    EXPECT_CODE(RZ_OUT_OF_MEMORY, backend.err,
                backend.api.weights->create(backend.device, &view, 0, &w, &backend.err));
    backend.out_of_memory = false;
    w = create(plan().resident);
    backend.api.weights->destroy(w);
}

} // namespace
} // namespace realizar::cpu::test
