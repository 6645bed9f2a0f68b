// Which kernels run: forced by the environment, reported, and proven by their call counters.
#include "backend.h"

#include "core/graph/builder.h"
#include "plugins/cpu/isa_extension.h"

namespace realizar::cpu::test {
namespace {

struct Model {
    Graph graph;
    TensorId x, y;
    std::vector<RefValue> leaves;
};

// y = gelu(w x) with quantised w.
Model make_model() {
    GraphBuilder b;
    Model m;
    const int64_t t = b.symbol(1, 16, 1);
    m.x = b.input("x", DType::F32, {t, 64});
    const TensorId w = b.weight("w", DType::Q8_0, {48, 64}, 1);
    m.y = b.unary(UnaryKind::gelu, b.matmul(w, m.x));
    b.output(m.y, "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    m.graph = std::move(*graph);
    m.leaves.resize(m.graph.tensors().size());
    Random random(5);
    std::normal_distribution<double> normal;
    m.leaves[m.x] = {{9, 64}, std::vector<double>(9 * 64)};
    m.leaves[w] = {{48, 64}, std::vector<double>(48 * 64)};
    for (RefValue &leaf : m.leaves)
        for (double &v : leaf.data)
            v = normal(random);
    return m;
}

const IsaExtension &extension() {
    const auto *table =
        static_cast<const IsaExtension *>(cpu_plugin().get_extension(kIsaExtensionId));
    EXPECT_NE(table, nullptr);
    return *table;
}

std::string reported_isa(Backend &backend) {
    rz_device_info info{};
    info.struct_size = sizeof info;
    uint32_t count = 1;
    EXPECT_CODE(
        RZ_OK, backend.err,
        backend.api.driver->enumerate(backend.driver, &info, sizeof info, &count, &backend.err));
    return info.isa;
}

TEST(Isa, ForcedKernelsRunAndNoOthers) {
    const Model m = make_model();
    std::vector<Floats> results;
    for (const Kernels *forced : available_kernels()) {
        Backend backend(2, forced->isa);
        EXPECT_EQ(reported_isa(backend), forced->isa);
        Loaded loaded(backend, m.graph, {9}, m.leaves);
        std::map<std::string, uint64_t> before;
        for (const Kernels *k : available_kernels())
            before[k->isa] = extension().calls(k->isa);
        EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
        for (const Kernels *k : available_kernels()) {
            if (k == forced)
                EXPECT_GT(extension().calls(k->isa), before[k->isa]) << k->isa;
            else
                EXPECT_EQ(extension().calls(k->isa), before[k->isa])
                    << k->isa << " ran where " << forced->isa << " was forced";
        }
        results.push_back(loaded.floats(m.y));
    }
    // All of them compute the same up to rounding.
    for (const Floats &y : results)
        EXPECT_LE(worst(y, Doubles(results[0].begin(), results[0].end()), Doubles(y.size(), 1e-4)),
                  1);
}

TEST(Isa, FastestIsTheDefault) {
    Backend backend(1);
    EXPECT_EQ(reported_isa(backend), available_kernels().back()->isa);
    EXPECT_EQ(std::string(available_kernels().front()->isa), "scalar");
}

TEST(Isa, UnknownNameIsUnavailable) {
    const ForcedIsa forced("sse9");
    Error err;
    rz_host host{};
    host.struct_size = sizeof host;
    host.thread_budget = [](void *) { return 1u; };
    rz_driver *driver = nullptr;
    EXPECT_CODE(RZ_UNAVAILABLE, err, cpu_plugin().driver->create(&host, &driver, &err));
    EXPECT_NE(std::string(err.message).find("sse9"), std::string::npos) << err.message;
    EXPECT_EQ(driver, nullptr);
    EXPECT_EQ(extension().calls("sse9"), 0u);
}

} // namespace
} // namespace realizar::cpu::test
