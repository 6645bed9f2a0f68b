// Graphs from anywhere: each way of being wrong has its error, and nothing reads out of bounds.
#include "core/graph/builder.h"
#include "core/graph/layout.h"
#include "random_graph.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace realizar {
namespace {

// A copy of a graph's arrays that tests may damage; names stay the graph's.
struct Loose {
    explicit Loose(Graph &&) = delete;
    explicit Loose(const Graph &graph)
        : tensors(graph.tensors().begin(), graph.tensors().end()),
          nodes(graph.nodes().begin(), graph.nodes().end()),
          symbols(graph.symbols().begin(), graph.symbols().end()),
          outputs(graph.outputs().begin(), graph.outputs().end()) {
        for (rz_node &node : nodes) {
            auto &in = operands.emplace_back(node.inputs, node.inputs + node.input_count);
            node.inputs = in.data();
            auto &out = operands.emplace_back(node.outputs, node.outputs + node.output_count);
            node.outputs = out.data();
            const auto *bytes = static_cast<const std::byte *>(node.attributes);
            auto &attr = attributes.emplace_back(bytes, bytes + node.attributes_size);
            if (!attr.empty()) node.attributes = attr.data();
        }
        whole = graph.view();
    }
    rz_graph view() {
        whole.tensors = tensors.data();
        whole.nodes = nodes.data();
        whole.symbols = symbols.data();
        whole.outputs = outputs.data();
        return whole;
    }
    uint32_t &input(size_t node, size_t i) { return operands[2 * node][i]; }
    uint32_t &output(size_t node, size_t i) { return operands[2 * node + 1][i]; }

    rz_graph whole{};
    std::vector<rz_tensor> tensors;
    std::vector<rz_node> nodes;
    std::vector<rz_symbol> symbols;
    std::vector<uint32_t> outputs;
    std::deque<std::vector<uint32_t>> operands; // inputs and outputs of node 0, 1, ...
    std::deque<std::vector<std::byte>> attributes;
};

// Tensors: 0 x [T, 12], 1 w [12, 12], 2 y, 3 view of y [T, 2, 6], 4 cache, 5 cells, 6 z, 7..10
// attention inputs, 11 result. Nodes: 0 MATMUL, 1 KV_WRITE, 2 SCALE, 3 ATTENTION.
Graph small_graph() {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 8, 2);
    const TensorId x = b.input("x", DType::F32, {t, 12});
    const TensorId y = b.matmul(b.weight("w", DType::F32, {12, 12}, 1), x);
    const TensorId view = b.split_inner(y, 6);
    const TensorId cache = b.state("cache", DType::F16, {16, 2, 6}, 2);
    b.kv_write(cache, view, b.input("cells", DType::I32, {t}));
    b.output(b.scale(y, 2), "z");
    AttentionInputs inputs;
    inputs.positions = b.input("positions", DType::I32, {t});
    inputs.sequences = b.input("sequences", DType::I32, {t});
    inputs.pages = b.input("pages", DType::I32, {1, 4});
    inputs.lengths = b.input("lengths", DType::I32, {1});
    AttentionParams params;
    params.page_size = 4;
    params.kv_symbol = 0;
    b.output(b.attention(view, cache, cache, inputs, kNoTensor, params), "attention");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(*graph);
}

struct Damage {
    const char *message;
    void (*apply)(Loose &g);
    Code code = Code::invalid_argument;
};

TEST(Validate, NamesEachDamage) {
    const Damage cases[] = {
        {"graph 0 struct_size", [](Loose &g) { g.whole.struct_size = 8; }},
        {"graph 0 flags", [](Loose &g) { g.whole.flags = 1; }, Code::unsupported},
        {"tensor stride: expected a multiple of 8", [](Loose &g) { g.whole.tensor_stride = 4; }},
        {"node stride", [](Loose &g) { g.whole.node_stride = sizeof(rz_node) + 4; }},
        {"symbol stride", [](Loose &g) { g.whole.symbol_stride = 0; }},
        {"symbol 0 struct_size", [](Loose &g) { g.symbols[0].struct_size = 0; }},
        {"symbol 0: expected 0 <= min", [](Loose &g) { g.symbols[0].hint = 9; }},
        {"symbol 0: expected 0 <= min", [](Loose &g) { g.symbols[0].min = -1; }},
        {"symbol 0: expected 0 <= min", [](Loose &g) { g.symbols[0].max = INT64_MAX; }},
        {"tensor 1 struct_size", [](Loose &g) { g.tensors[1].struct_size = 500; }},
        {"tensor 1 flags", [](Loose &g) { g.tensors[1].flags = 0x8000; }, Code::unsupported},
        {"tensor 1 'w' rank: expected 1 to 4, found 5", [](Loose &g) { g.tensors[1].rank = 5; }},
        {"tensor 1 'w' rank: expected 1 to 4, found 0", [](Loose &g) { g.tensors[1].rank = 0; }},
        {"'w': expected a known element type, found 63", [](Loose &g) { g.tensors[1].dtype = 63; },
         Code::unsupported},
        {"'w' role: expected 0 to 3, found 4", [](Loose &g) { g.tensors[1].role = 4; },
         Code::unsupported},
        {"'w' storage: expected an index below", [](Loose &g) { g.tensors[1].storage = 500; }},
        {"'w' dims[0]: expected 1 to", [](Loose &g) { g.tensors[1].dims[0] = 0; }},
        {"'w' dims[0]: expected 1 to", [](Loose &g) { g.tensors[1].dims[0] = RZ_SYMBOL(0); }},
        {"'x' dims[0]: expected 1 to", [](Loose &g) { g.tensors[0].dims[0] = RZ_SYMBOL(1); }},
        {"'x' dims[0]: expected 1 to", [](Loose &g) { g.tensors[0].dims[0] = INT64_MIN; }},
        {"'x' dims[1]: expected 1 to", [](Loose &g) { g.tensors[0].dims[1] = RZ_SYMBOL(0); }},
        {"'w' dims[1]: expected 1 to", [](Loose &g) { g.tensors[1].dims[1] = INT64_MAX; }},
        {"'w' strides[1]: expected 4, found 8", [](Loose &g) { g.tensors[1].strides[1] = 8; }},
        {"'w' strides[0]: expected a positive multiple of 4, found -48",
         [](Loose &g) { g.tensors[1].strides[0] = -48; }},
        {"'w' strides: expected those of a contiguous [12, 12]",
         [](Loose &g) { g.tensors[1].strides[0] = 52; }},
        {"expected at most 1152921504606846976 bytes",
         [](Loose &g) {
             g.tensors[1].dims[0] = g.tensors[1].dims[1] = int64_t{1} << 40;
             g.tensors[1].strides[0] = int64_t{1} << 42;
         }},
        {"'w' offset: expected 0", [](Loose &g) { g.tensors[1].offset = 4; }},
        {"expected a storage that is no view", [](Loose &g) { g.tensors[2].storage = 3; }},
        {"expected type 0 and role 0 as its storage", [](Loose &g) { g.tensors[3].role = 2; }},
        {"offset: expected a multiple of 4", [](Loose &g) { g.tensors[3].offset = 2; }},
        {"expected to end within the 48 bytes of tensor 2",
         [](Loose &g) { g.tensors[3].offset = 4; }},
        {"expected to end within", [](Loose &g) { g.tensors[3].strides[0] = 52; }},
        {"expected a key of its own, found that of tensor 1 'w'",
         [](Loose &g) { g.tensors[4].key = 1; }},
        {"node 0 struct_size", [](Loose &g) { g.nodes[0].struct_size = 4; }},
        {"node 0 flags", [](Loose &g) { g.nodes[0].flags = 2; }, Code::unsupported},
        {"node 0: expected an op of", [](Loose &g) { g.nodes[0].op = 99; }, Code::unsupported},
        {"MATMUL: expected version 1, found 7", [](Loose &g) { g.nodes[0].version = 7; },
         Code::unsupported},
        {"node 0 (MATMUL): expected arrays of", [](Loose &g) { g.nodes[0].inputs = nullptr; }},
        {"node 2 (SCALE): expected arrays of", [](Loose &g) { g.nodes[2].attributes = nullptr; }},
        {"SCALE: expected at least 16 bytes", [](Loose &g) { g.nodes[2].attributes_size = 15; }},
        {"node 0 (MATMUL) input 1: expected a tensor below", [](Loose &g) { g.input(0, 1) = 99; }},
        {"node 0 (MATMUL) output 0: expected a tensor below",
         [](Loose &g) { g.output(0, 0) = RZ_NONE; }},
        {"MATMUL weight: expected a tensor, found none", [](Loose &g) { g.input(0, 0) = RZ_NONE; }},
        {"input 1: expected a tensor that an earlier node has written",
         [](Loose &g) { g.input(0, 1) = 6; }},
        {"expected a TEMP of its own that no node has written, found tensor 0 'x'",
         [](Loose &g) { g.output(0, 0) = 0; }},
        {"expected a TEMP of its own that no node has written, found tensor 1 'w'",
         [](Loose &g) { g.output(0, 0) = 1; }},
        {"expected a TEMP of its own", [](Loose &g) { g.output(2, 0) = 2; }},
        {"(MATMUL) output 0: expected F32 [s0, 12], found F32 [s0, 2, 6]",
         [](Loose &g) {
             g.tensors[2] = g.tensors[3];
             g.tensors[2].storage = 2;
         }},
        {"(KV_WRITE) output 0: expected tensor 4, its input 0, found 0",
         [](Loose &g) { g.output(1, 0) = 0; }},
        {"node 0 (MATMUL): expected 1 outputs, found 0",
         [](Loose &g) { g.nodes[0].output_count = 0; }},
        {"kv_symbol: expected a symbol below 1, found 1",
         [](Loose &g) {
             rz_attr_attention attr;
             std::memcpy(&attr, g.attributes[3].data(), sizeof attr);
             attr.kv_symbol = 1;
             std::memcpy(g.attributes[3].data(), &attr, sizeof attr);
         }},
        {"output 0: expected a tensor below", [](Loose &g) { g.outputs[0] = 1000; }},
        {"output 0: expected a TEMP that a node writes", [](Loose &g) { g.outputs[0] = 0; }},
        {"output 0: expected a TEMP that a node writes", [](Loose &g) { g.outputs[0] = 3; }},
        {"output 1: expected a TEMP", [](Loose &g) { g.outputs[1] = g.outputs[0]; }},
    };
    const Graph graph = small_graph();
    ASSERT_TRUE(validate_graph(Loose(graph).view()).ok());
    for (const Damage &c : cases) {
        SCOPED_TRACE(c.message);
        Loose loose(graph);
        c.apply(loose);
        const Status status = validate_graph(loose.view());
        ASSERT_FALSE(status.ok());
        EXPECT_EQ(status.error().code, c.code);
        EXPECT_NE(status.error().message.find(c.message), std::string::npos)
            << status.error().message;
    }
}

// classify wants to know which nodes, not that one is unknown.
TEST(Validate, MarksUnknownNodesWhenAsked) {
    const Graph graph = small_graph();
    Loose loose(graph);
    loose.nodes[2].op = 99;
    loose.nodes[3].version = 2;
    std::vector<bool> unknown;
    const Status status = validate_graph(loose.view(), &unknown);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(unknown, (std::vector<bool>{false, false, true, true}));
    loose.tensors[1].dtype = 50; // the weight of node 0
    ASSERT_TRUE(validate_graph(loose.view(), &unknown).ok());
    EXPECT_EQ(unknown, (std::vector<bool>{true, false, true, true}));
    loose.input(1, 1) = 0; // still an error: the cache gets rows of another shape
    EXPECT_FALSE(validate_graph(loose.view(), &unknown).ok());
}

// Structs of a newer minor version are longer than ours.
TEST(Validate, AcceptsLargerElements) {
    const test::RandomGraph random = test::make_random_graph(5, 10);
    const rz_graph view = random.graph.view();
    struct WideTensor {
        rz_tensor tensor;
        uint64_t news[2];
    };
    struct WideNode {
        rz_node node;
        uint64_t news;
    };
    std::vector<WideTensor> tensors;
    for (const rz_tensor &tensor : random.graph.tensors()) {
        tensors.push_back({tensor, {~0ull, ~0ull}});
        tensors.back().tensor.struct_size = sizeof(WideTensor);
        tensors.back().tensor.flags = 1u << 31; // an unknown hint
    }
    std::vector<WideNode> nodes;
    for (const rz_node &node : random.graph.nodes()) {
        nodes.push_back({node, ~0ull});
        nodes.back().node.struct_size = sizeof(WideNode);
    }
    rz_graph wide = view;
    wide.tensors = &tensors[0].tensor;
    wide.tensor_stride = sizeof(WideTensor);
    wide.nodes = &nodes[0].node;
    wide.node_stride = sizeof(WideNode);
    const Status status = validate_graph(wide);
    ASSERT_TRUE(status.ok()) << status.error().message;
    const Graph copy = Graph::copy(wide);
    EXPECT_TRUE(validate_graph(copy.view()).ok());
    EXPECT_EQ(copy.hash(), random.graph.hash());
    EXPECT_EQ(copy.find("out0"), random.graph.find("out0"));
}

// Random damage to every field that is no pointer: an error or a graph that runs, never a fault
// (the sanitizers watch).
TEST(Validate, SurvivesRandomDamage) {
    const test::RandomGraph random = test::make_random_graph(11, 8);
    std::mt19937_64 engine(1);
    const int64_t interesting[] = {0, 1, -1, 2, 3, 4, 31, 32, INT64_MAX, INT64_MIN, 1ll << 40};
    const auto number = [&] {
        return engine() % 2 == 0 ? interesting[engine() % std::size(interesting)]
                                 : static_cast<int64_t>(engine() % 40);
    };
    int accepted = 0;
    for (int round = 0; round < 10000; ++round) {
        Loose loose(random.graph);
        rz_tensor &tensor = loose.tensors[engine() % loose.tensors.size()];
        const size_t n = engine() % loose.nodes.size();
        rz_node &node = loose.nodes[n];
        switch (engine() % 11) {
        case 0: tensor.dtype = static_cast<uint32_t>(number()); break;
        case 1: tensor.role = static_cast<uint32_t>(number()); break;
        case 2: tensor.rank = static_cast<uint32_t>(number()); break;
        case 3: tensor.storage = static_cast<uint32_t>(number()); break;
        case 4: tensor.dims[engine() % 4] = number(); break;
        case 5: tensor.strides[engine() % 4] = number(); break;
        case 6: tensor.offset = static_cast<uint64_t>(number()); break;
        case 7: node.op = static_cast<uint32_t>(engine() % 20); break;
        case 8:
            loose.input(n, engine() % node.input_count) = static_cast<uint32_t>(number());
            break;
        case 9: loose.output(n, 0) = static_cast<uint32_t>(number()); break;
        case 10: {
            std::vector<std::byte> &attr = loose.attributes[n];
            if (!attr.empty()) attr[engine() % attr.size()] = static_cast<std::byte>(engine());
            break;
        }
        }
        const rz_graph view = loose.view();
        std::vector<bool> unknown;
        const bool lenient = validate_graph(view, &unknown).ok();
        const bool strict = validate_graph(view).ok();
        EXPECT_TRUE(lenient || !strict);
        if (!strict || round % 50 != 0) continue;
        ++accepted;
        std::vector<RefValue> values = random.leaves;
        (void)ref_run(view, random.symbols, values); // sizes may no longer fit: then an error
    }
    EXPECT_GT(accepted, 0);
}

} // namespace
} // namespace realizar
