// Large products by CLBlast. Where it is not installed, tests skip with the reason.
#include "core/graph/builder.h"
#include "plugins/opencl/clblast/library.h"
#include "tests/support/backend_session.h"

namespace realizar::test {
namespace {

constexpr const char *kSwitch = "REALIZAR_OPENCL_CLBLAST";
// F32 on both sides, sums of up to about 1000 terms: 2^-24 * sqrt(1000), five times that.
constexpr double kTolerance = 1e-5;

#define RZ_REQUIRE_CLBLAST()                                                                       \
    if (const std::string missing = why_missing(); !missing.empty()) GTEST_SKIP() << missing

std::string why_missing() {
    try {
        return opencl::find_clblast(opencl::load_api()).reason;
    } catch (const opencl::Failure &failure) {
        return failure.message;
    }
}

struct Shape {
    DType type;
    int64_t rows, n, k;
    bool add;
};

Graph make_product(const Shape &s) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, s.rows, s.rows);
    TensorId y = b.matmul(b.weight("w", s.type, {s.n, s.k}, 1), b.input("x", DType::F32, {t, s.k}));
    if (s.add) y = b.add(y, b.weight("bias", DType::F32, {s.n}, 2));
    b.output(y, "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

// The result on the device with the switch at `use`, by `launches` launches.
std::vector<float> run_product(const Graph &graph, int64_t rows,
                               const std::vector<RefValue> &leaves, const char *use,
                               uint32_t launches) {
    const Variable chosen(kSwitch, use),
        plain("REALIZAR_OPENCL_DISABLE", "mma"); // F32 on both sides
    Backend backend;
    EXPECT_EQ(backend.opened, RZ_OK) << backend.err.message;
    Loaded loaded(backend, graph, {rows}, leaves);
    EXPECT_EQ(loaded.code, RZ_OK) << backend.err.message;
    if (loaded.code != RZ_OK) return {};
    EXPECT_EQ(loaded.info().dispatches, launches) << "somebody else made the product";
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    const uint64_t allocations = backend.counters().allocations;
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    EXPECT_EQ(backend.counters().allocations, allocations);
    return loaded.floats(graph.outputs()[0]);
}

// By CLBlast in `launches` launches, and by the reference.
void check_product(const Shape &s, uint32_t launches) {
    SCOPED_TRACE(std::string(dtype_info(s.type).name) + " " + std::to_string(s.rows) + " x " +
                 std::to_string(s.n) + " x " + std::to_string(s.k));
    const Graph graph = make_product(s);
    const std::vector<int64_t> symbols = {s.rows};
    auto leaves = random_leaves(graph, symbols, 5), other = random_leaves(graph, symbols, 6);
    const auto forced = run_product(graph, s.rows, leaves, "1", launches);
    // Weights of this type are not quite what the reference has: encoding them again changes them. So
    // the own kernel comes in between.
    const bool changes = s.type == DType::Q4_K;
    std::vector<float> own;
    if (changes) own = run_product(graph, s.rows, leaves, "0", 1);
    ASSERT_TRUE(ref_run(graph.view(), symbols, leaves).ok());
    ASSERT_TRUE(ref_run(graph.view(), symbols, other).ok());
    const TensorId y = graph.outputs()[0];
    EXPECT_LE(distance(forced, leaves[y]), changes ? 0.01 : kTolerance);
    EXPECT_GT(distance(forced, other[y]), 0.1) << "the comparison sees nothing";
    if (!changes) return;
    leaves[y].data.assign(own.begin(), own.end());
    EXPECT_LE(distance(forced, leaves[y]), kTolerance);
}

TEST(OpenClClblast, ForcedProductsMatchTheReference) {
    RZ_REQUIRE_CLBLAST();
    check_product({DType::F32, 37, 53, 97, false}, 1);
    check_product({DType::F32, 9, 64, 96, true}, 2);
    check_product({DType::F32, 531, 40, 64, true}, 3); // rows in two parts
    check_product({DType::F16, 37, 53, 97, true}, 3);
    check_product({DType::Q8_0, 21, 45, 96, false}, 2);
    check_product({DType::Q4_K, 21, 45, 512, true}, 3);
}

// More than a slice of rows of the matrix, and enough of them for the library's other form.
TEST(OpenClClblast, SlicesMatchTheReference) {
    RZ_REQUIRE_CLBLAST();
    const Variable slice("REALIZAR_OPENCL_TUNE", "clblast_slice:1");
    check_product({DType::Q4_K, 150, 700, 512, true}, 5);
    check_product({DType::F32, 150, 700, 515, false}, 3);
}

using Cache = std::map<std::string, std::vector<std::byte>>;

// Runs a product that is large enough to be measured, on a host with this cache; returns what it leaves.
Cache run_measured(const Cache &cache) {
    const Shape shape = {DType::Q8_0, 32, 1024, 1024, false};
    const Graph graph = make_product(shape);
    const std::vector<int64_t> symbols = {shape.rows};
    const auto leaves = random_leaves(graph, symbols, 5);
    auto expected = leaves;
    EXPECT_TRUE(ref_run(graph.view(), symbols, expected).ok());
    Backend backend;
    EXPECT_EQ(backend.opened, RZ_OK) << backend.err.message;
    backend.host.cache = cache;
    Loaded loaded(backend, graph, symbols, leaves);
    EXPECT_EQ(loaded.code, RZ_OK) << backend.err.message;
    EXPECT_CODE(RZ_OK, backend.err, loaded.run());
    const TensorId y = graph.outputs()[0];
    EXPECT_LE(distance(loaded.floats(y), expected[y]), kTolerance);
    Cache times = backend.host.cache;
    std::erase_if(times,
                  [](const auto &entry) { return !entry.first.starts_with("opencl-times"); });
    return times;
}

TEST(OpenClClblast, ChoicesAreMeasuredOnceAndKept) {
    RZ_REQUIRE_CLBLAST();
    // Nothing is measured where there are matrix units.
    const Variable measured(kSwitch, "auto"), plain("REALIZAR_OPENCL_DISABLE", "mma");
    const Cache first = run_measured({});
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(run_measured(first), first); // other times would differ
    Cache damaged = first;
    damaged.begin()->second.back() ^= std::byte{1};
    const Cache again = run_measured(damaged);
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again.begin()->first, first.begin()->first);
    EXPECT_NE(again, damaged);
}

// The library's memory is no reason to fail.
TEST(OpenClClblast, GoesWithoutWhereMemoryIsShort) {
    RZ_REQUIRE_CLBLAST();
    const Variable forced(kSwitch, "1");
    GraphBuilder b;
    b.output(b.matmul(b.input("w", DType::F32, {60, 70}), b.input("x", DType::F32, {40, 70})), "y");
    auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    const rz_graph view = graph.value().view();
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    const auto scratch_within = [&](uint64_t budget) {
        const rz_compile_options options{sizeof options, 0, budget};
        rz_program *program = nullptr;
        rz_program_info info{};
        info.struct_size = sizeof info;
        EXPECT_CODE(RZ_OK, backend.err,
                    backend.api.program->compile(backend.device, &view, nullptr, &options, &program,
                                                 &backend.err));
        EXPECT_CODE(RZ_OK, backend.err, backend.api.program->info(program, &info, &backend.err));
        backend.api.program->destroy(program);
        return info.scratch_bytes;
    };
    constexpr uint64_t kBudget = 100'000;
    EXPECT_GT(scratch_within(0), kBudget);
    EXPECT_LE(scratch_within(kBudget), kBudget);
}

TEST(OpenClClblast, UnusableLibrariesAreRefusedWithTheReason) {
    RZ_REQUIRE_CLBLAST();
    const opencl::Api &api = opencl::load_api();
    const auto reason = [](const char *file, const opencl::Api &loader) -> std::string {
        try {
            return opencl::Clblast(file, loader).name() + " was taken";
        } catch (const opencl::Failure &failure) {
            EXPECT_EQ(failure.code, RZ_UNAVAILABLE);
            return failure.message;
        }
    };
    EXPECT_NE(reason("libclblast-none.so.1", api).find("was not found"), std::string::npos);
    EXPECT_NE(reason("libm.so.6", api).find("another OpenCL loader"), std::string::npos);
    opencl::Api other = api;
    other.clGetPlatformIDs = [](cl_uint, cl_platform_id *, cl_uint *) -> cl_int { return -1; };
    EXPECT_NE(reason("libclblast.so.1", other).find("another OpenCL loader"), std::string::npos);
    EXPECT_NE(reason("libOpenCL.so.1", api).find("older than 1.5"), std::string::npos);
    EXPECT_EQ(reason("libclblast.so.1", api).find("libclblast.so.1"), 0u);
}

} // namespace
} // namespace realizar::test
