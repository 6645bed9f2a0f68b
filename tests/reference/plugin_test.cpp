// The backend "reference" by the rules of backend.h: objects, memory, weights, programs.
#include "abi_session.h"

#include "core/graph/layout.h"

#include <numeric>

namespace realizar {
namespace {

using test::AbiError;
using test::AbiRun;
using test::AbiSession;
using test::AbiSubmit;

TEST(Plugin, TableIsComplete) {
    const rz_plugin &api = *reference_plugin();
    EXPECT_EQ(api.struct_size, sizeof api);
    EXPECT_EQ(api.abi_hash, RZ_ABI_HASH);
    EXPECT_STREQ(api.id, "reference");
    EXPECT_EQ(api.get_extension("rz.unknown/1"), nullptr);
    // Every table: a size, flags, and no function missing.
    const auto check = [](const auto *table) {
        ASSERT_NE(table, nullptr);
        EXPECT_EQ(table->struct_size, sizeof *table);
        const auto *words = reinterpret_cast<const uint64_t *>(table);
        for (size_t i = 1; i < sizeof *table / sizeof(uint64_t); ++i)
            EXPECT_NE(words[i], 0u) << i;
    };
    check(api.driver), check(api.device), check(api.buffer), check(api.weights);
    check(api.program), check(api.instance), check(api.queue), check(api.timeline);
}

TEST(Plugin, EnumeratesOneCpu) {
    AbiSession s;
    uint32_t count = 0;
    EXPECT_CODE(RZ_OK, s.err, s.api.driver->enumerate(s.driver, nullptr, 0, &count, &s.err));
    EXPECT_EQ(count, 1u);
    rz_device_info infos[2]{};
    infos[0].struct_size = infos[1].struct_size = sizeof infos[0];
    count = 2;
    EXPECT_CODE(RZ_OK, s.err,
                s.api.driver->enumerate(s.driver, infos, sizeof infos[0], &count, &s.err));
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(infos[0].kind, RZ_DEVICE_CPU);
    EXPECT_EQ(infos[0].caps, RZ_CAP_HOST_MEMORY);
    EXPECT_STREQ(infos[0].id, "0");
    EXPECT_GT(infos[0].memory_total, 0u);
    EXPECT_EQ(infos[1].kind, 0u); // untouched
    rz_device *none = nullptr;
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, s.api.driver->open(s.driver, 1, &none, &s.err));
}

TEST(Plugin, ErrorsAreOptionalAndMayBeTooShortToFill) {
    AbiSession s;
    rz_device *none = nullptr;
    EXPECT_EQ(s.api.driver->open(s.driver, 9, &none, nullptr), RZ_INVALID_ARGUMENT);
    rz_error tiny{};
    tiny.struct_size = 8;
    EXPECT_EQ(s.api.driver->open(s.driver, 9, &none, &tiny), RZ_INVALID_ARGUMENT);
    EXPECT_EQ(tiny.code, RZ_OK);
}

TEST(Plugin, DestroyAcceptsNull) {
    const rz_plugin &api = *reference_plugin();
    api.instance->destroy(nullptr);
    api.program->destroy(nullptr);
    api.weights->destroy(nullptr);
    api.buffer->destroy(nullptr);
    api.queue->destroy(nullptr);
    api.timeline->destroy(nullptr);
    api.device->close(nullptr);
    api.driver->destroy(nullptr);
}

TEST(Plugin, BuffersStartZeroedAndCheckRanges) {
    AbiSession s;
    rz_buffer *a = s.buffer(100), *b = s.buffer(50);
    std::vector<uint8_t> data(100, 0xff);
    EXPECT_CODE(RZ_OK, s.err, s.api.buffer->read(a, 0, data.data(), 100, &s.err));
    EXPECT_EQ(data, std::vector<uint8_t>(100, 0));
    std::iota(data.begin(), data.end(), uint8_t{1});
    EXPECT_CODE(RZ_OK, s.err, s.api.buffer->write(a, 10, data.data(), 90, &s.err));
    EXPECT_CODE(RZ_OK, s.err, s.api.buffer->copy(b, 5, a, 10, 45, &s.err));
    EXPECT_CODE(RZ_OK, s.err, s.api.buffer->copy(b, 0, b, 5, 45, &s.err)); // overlapping
    const auto *bytes = static_cast<const uint8_t *>(s.api.buffer->map(b));
    EXPECT_EQ(bytes[0], 1);
    EXPECT_EQ(bytes[44], 45);
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, s.api.buffer->write(a, 11, data.data(), 90, &s.err));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.buffer->write(a, UINT64_MAX, data.data(), 2, &s.err));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, s.api.buffer->read(a, 101, data.data(), 0, &s.err));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, s.api.buffer->copy(b, 0, a, 60, 41, &s.err));
    EXPECT_EQ(bytes[0], 1); // nothing was touched
    rz_counters counters{};
    counters.struct_size = sizeof counters;
    EXPECT_CODE(RZ_OK, s.err, s.api.device->counters(s.device, &counters, &s.err));
    EXPECT_EQ(counters.memory_used, 150u);
    EXPECT_EQ(counters.allocations, 2u);
    EXPECT_EQ(counters.bytes_written, 90u);
    s.out_of_memory = true;
    rz_buffer *none = nullptr;
    EXPECT_CODE(RZ_OUT_OF_MEMORY, s.err, s.api.buffer->create(s.device, 10, &none, &s.err));
    s.api.buffer->destroy(a);
    s.api.buffer->destroy(b);
    EXPECT_CODE(RZ_OK, s.err, s.api.device->counters(s.device, &counters, &s.err));
    EXPECT_EQ(counters.memory_used, 0u);
    EXPECT_EQ(counters.memory_peak, 150u);
}

// Whatever a row claims, classify must say too.
TEST(Plugin, ClassifyAgreesWithCapabilities) {
    AbiSession s;
    uint32_t count = 0;
    EXPECT_CODE(RZ_OK, s.err, s.api.device->capabilities(s.device, nullptr, 0, &count, &s.err));
    std::vector<rz_capability> rows(count);
    for (rz_capability &row : rows)
        row.struct_size = sizeof row;
    EXPECT_CODE(RZ_OK, s.err,
                s.api.device->capabilities(s.device, rows.data(), sizeof rows[0], &count, &s.err));
    ASSERT_EQ(count, RZ_OP_COUNT - 1);
    ASSERT_EQ(rows[RZ_OP_MATMUL - 1].op, RZ_OP_MATMUL);
    for (const DTypeInfo &info : dtype_table()) {
        GraphBuilder b;
        const int64_t width = info.block_elements * 2;
        const TensorId x = b.input("x", DType::F32, {3, width});
        b.output(b.matmul(b.weight("w", info.dtype, {5, width}, 1), x), "y");
        const auto graph = std::move(b).build();
        ASSERT_TRUE(graph.ok());
        const rz_graph view = graph->view();
        uint8_t state = 9;
        EXPECT_CODE(RZ_OK, s.err, s.api.device->classify(s.device, &view, &state, &s.err));
        const bool claimed =
            (rows[RZ_OP_MATMUL - 1].dtypes & RZ_DTYPE_BIT(static_cast<rz_dtype>(info.dtype))) != 0;
        EXPECT_EQ(state, claimed ? RZ_NODE_YES : RZ_NODE_NO) << info.name;
    }
    EXPECT_NE(rows[RZ_OP_MATMUL - 1].dtypes & RZ_DTYPE_BIT(RZ_DTYPE_Q4_K), 0u);
}

TEST(Plugin, ClassifyToldAboutUnknownOpsSaysNo) {
    AbiSession s;
    GraphBuilder b;
    const TensorId x = b.input("x", DType::F32, {4});
    b.output(b.scale(b.scale(x, 2), 3), "y");
    const auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok());
    rz_graph view = graph->view();
    std::vector<rz_node> nodes(graph->nodes().begin(), graph->nodes().end());
    nodes[1].op = 4711;
    view.nodes = nodes.data();
    uint8_t states[2] = {9, 9};
    EXPECT_CODE(RZ_OK, s.err, s.api.device->classify(s.device, &view, states, &s.err));
    EXPECT_EQ(states[0], RZ_NODE_YES);
    EXPECT_EQ(states[1], RZ_NODE_NO);
    rz_program *program = nullptr;
    EXPECT_CODE(RZ_UNSUPPORTED, s.err,
                s.api.program->compile(s.device, &view, nullptr, nullptr, &program, &s.err));
    view.nodes = nullptr;
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.device->classify(s.device, &view, states, &s.err));
}

// y = w x with the weight in pieces.
class Weights : public testing::Test {
  protected:
    static constexpr uint64_t kKey = 77, kRow = 3 * sizeof(float);

    Weights() {
        GraphBuilder b;
        const TensorId input = b.input("x", DType::F32, {3});
        b.output(b.matmul(b.weight("w", DType::F32, {4, 3}, kKey), input), "y");
        auto built = std::move(b).build();
        EXPECT_TRUE(built.ok());
        graph = std::move(*built);
        x = graph.find("x");
        y = graph.find("y");
        view = graph.view();
        std::iota(bytes.begin(), bytes.end(), 1.0f);
    }
    ~Weights() override { s.api.weights->destroy(weights); }
    void create(uint64_t budget = 0) {
        EXPECT_CODE(RZ_OK, s.err, s.api.weights->create(s.device, &view, budget, &weights, &s.err));
    }
    rz_code load(uint64_t begin, uint64_t rows, uint32_t flags, const float *from = nullptr) {
        return s.api.weights->load(weights, kKey, begin, rows,
                                   from != nullptr ? from : bytes.data() + begin * 3, rows * kRow,
                                   flags, &s.err);
    }
    void expect_product() {
        EXPECT_CODE(RZ_OK, s.err, s.api.weights->finish(weights, &s.err));
        AbiRun run(s, graph, weights);
        std::vector<float> in{1, 10, 100}, out(4);
        AbiSubmit submit{run.instance, {}, {}, {}, {}, {}};
        submit.update(x, in);
        submit.read(y, out);
        EXPECT_CODE(RZ_OK, s.err, submit.run(s));
        EXPECT_EQ(out, (std::vector<float>{321, 654, 987, 1320}));
    }

    AbiSession s;
    Graph graph;
    TensorId x = 0, y = 0;
    rz_graph view{};
    std::vector<float> bytes = std::vector<float>(12);
    rz_weights *weights = nullptr;
};

TEST_F(Weights, PlanBoundsWhatBecomesResident) {
    rz_weights_plan plan{};
    plan.struct_size = sizeof plan;
    EXPECT_CODE(RZ_OK, s.err, s.api.weights->plan(s.device, &view, &plan, &s.err));
    EXPECT_EQ(plan.resident, 4 * kRow);
    EXPECT_CODE(RZ_OUT_OF_MEMORY, s.err,
                s.api.weights->create(s.device, &view, 4 * kRow - 1, &weights, &s.err));
    create(4 * kRow);
    EXPECT_CODE(RZ_OK, s.err, load(0, 4, 0));
    expect_product();
}

TEST_F(Weights, StablePiecesThatAdjoinAreReadInPlace) {
    create();
    EXPECT_CODE(RZ_OK, s.err, load(0, 1, RZ_LOAD_STABLE));
    EXPECT_CODE(RZ_OK, s.err, load(1, 3, RZ_LOAD_STABLE));
    EXPECT_EQ(s.blocks, 0);
    expect_product();
}

TEST_F(Weights, OtherPiecesAreCopied) {
    create();
    EXPECT_CODE(RZ_OK, s.err, load(0, 1, RZ_LOAD_STABLE));
    std::vector<float> elsewhere(bytes.begin() + 3, bytes.begin() + 6);
    EXPECT_CODE(RZ_OK, s.err, load(1, 1, RZ_LOAD_STABLE, elsewhere.data()));
    EXPECT_CODE(RZ_OK, s.err, load(2, 2, 0));
    EXPECT_EQ(s.blocks, 1);
    elsewhere.assign(3, 0.0f);
    bytes.assign(12, 0.0f);
    expect_product();
}

TEST_F(Weights, LoadChecksKeysRowsAndSizes) {
    create();
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.weights->load(weights, 78, 0, 1, bytes.data(), kRow, 0, &s.err));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, load(1, 1, 0)); // rows come from 0 on
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, load(0, 5, 0));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.weights->load(weights, kKey, 0, 1, bytes.data(), kRow + 1, 0, &s.err));
    EXPECT_CODE(RZ_UNSUPPORTED, s.err, load(0, 1, 1));
    EXPECT_CODE(RZ_OK, s.err, load(0, 3, 0));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, load(0, 1, 0)); // once only
    rz_program *program = nullptr;
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, s.api.weights->finish(weights, &s.err));
    EXPECT_NE(std::string(s.err.message).find("weight 77: expected 4 rows, found 3"),
              std::string::npos)
        << s.err.message;
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.program->compile(s.device, &view, weights, nullptr, &program, &s.err));
    EXPECT_CODE(RZ_OK, s.err, load(3, 1, 0));
    expect_product();
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, load(0, 0, 0)); // after finish
}

TEST_F(Weights, CompileWantsTheRightSet) {
    rz_program *program = nullptr;
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.program->compile(s.device, &view, nullptr, nullptr, &program, &s.err));
    create();
    EXPECT_CODE(RZ_OK, s.err, load(0, 4, 0));
    EXPECT_CODE(RZ_OK, s.err, s.api.weights->finish(weights, &s.err));
    GraphBuilder b;
    const TensorId input = b.input("x", DType::F32, {3});
    b.output(b.matmul(b.weight("w", DType::F32, {5, 3}, kKey), input), "y");
    const auto other = std::move(b).build();
    ASSERT_TRUE(other.ok());
    const rz_graph other_view = other->view();
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.program->compile(s.device, &other_view, weights, nullptr, &program, &s.err));
    rz_compile_options options{sizeof options, 0, 8};
    EXPECT_CODE(RZ_OUT_OF_MEMORY, s.err,
                s.api.program->compile(s.device, &view, weights, &options, &program, &s.err));
    options.flags = 1;
    EXPECT_CODE(RZ_UNSUPPORTED, s.err,
                s.api.program->compile(s.device, &view, weights, &options, &program, &s.err));
    options = {sizeof options, RZ_COMPILE_NO_FUSE | (1u << 30), 0};
    EXPECT_CODE(RZ_OK, s.err,
                s.api.program->compile(s.device, &view, weights, &options, &program, &s.err));
    rz_program_info info{};
    info.struct_size = sizeof info;
    EXPECT_CODE(RZ_OK, s.err, s.api.program->info(program, &info, &s.err));
    EXPECT_EQ(info.dispatches, 1u);
    EXPECT_EQ(info.scratch_bytes, 3 * 4 + 4 * 8 + 4 * 4u);
    s.api.program->destroy(program);
}

} // namespace
} // namespace realizar
