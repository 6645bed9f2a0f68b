// Missing drivers, wrong settings, damaged caches and failures on purpose: all come back as codes, or are
// made good.
#include "core/graph/builder.h"
#include "tests/support/backend_session.h"

#include <cstdio>

namespace realizar::test {
namespace {

Graph make_product() {
    GraphBuilder b;
    const TensorId x = b.input("x", DType::F32, {2, 32});
    const TensorId w = b.weight("w", DType::Q8_0, {5, 32}, 1);
    b.output(b.matmul(w, b.scale(x, 2)), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

rz_code whole_life(Error &err) {
    const Graph graph = make_product();
    Backend backend;
    if (backend.opened != RZ_OK) {
        err = backend.err;
        return backend.opened;
    }
    Loaded loaded(backend, graph, {}, random_leaves(graph, {}, 1));
    const rz_code code = loaded.code == RZ_OK ? loaded.run() : loaded.code;
    err = backend.err;
    return code;
}

TEST(OpenClFaults, NoDriverIsUnavailable) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            setenv("OCL_ICD_VENDORS", "/nonexistent", 1);
            Host host;
            Error err;
            rz_driver *driver = nullptr;
            const rz_code code = linked_plugin().driver->create(&host.table, &driver, &err);
            std::fprintf(stderr, "%s", err.message);
            _exit(code);
        },
        testing::ExitedWithCode(RZ_UNAVAILABLE), "install ocl-icd-libopencl1 and a driver");
}

TEST(OpenClFaults, UnknownSettingsAreRefused) {
    Host host;
    Error err;
    rz_driver *driver = nullptr;
    const auto create = [&] { return linked_plugin().driver->create(&host.table, &driver, &err); };
    {
        const Variable disable("REALIZAR_OPENCL_DISABLE", "dot,dots");
        EXPECT_CODE(RZ_INVALID_ARGUMENT, err, create());
    }
    {
        const Variable clblast("REALIZAR_OPENCL_CLBLAST", "yes");
        EXPECT_CODE(RZ_INVALID_ARGUMENT, err, create());
    }
    {
        const Variable profile("REALIZAR_OPENCL_PROFILE", "yes");
        EXPECT_CODE(RZ_INVALID_ARGUMENT, err, create());
    }
    {
        const Variable tune("REALIZAR_OPENCL_TUNE", "matvec_rows:9");
        EXPECT_CODE(RZ_INVALID_ARGUMENT, err, create());
    }
    const Variable fault("REALIZAR_OPENCL_FAIL", "alloc:0");
    EXPECT_CODE(RZ_INVALID_ARGUMENT, err, create());
}

TEST(OpenClFaults, EveryAllocationMayFail) {
    Error err;
    const rz_code healthy = whole_life(err);
    if (healthy == RZ_UNAVAILABLE) GTEST_SKIP() << err.message;
    ASSERT_EQ(healthy, RZ_OK) << err.message;
    int failed = 0;
    for (int n = 1; n < 100; ++n) {
        const Variable fault("REALIZAR_OPENCL_FAIL", ("alloc:" + std::to_string(n)).c_str());
        const rz_code code = whole_life(err);
        if (code == RZ_OK) break;
        EXPECT_CODE(RZ_OUT_OF_MEMORY, err, code);
        ++failed;
    }
    EXPECT_GE(failed, 5); // weights, staging, inputs and their mirror, scratch, results
    EXPECT_LT(failed, 99);
}

TEST(OpenClFaults, LostDeviceComesThroughTheTimeline) {
    Error err;
    if (whole_life(err) == RZ_UNAVAILABLE) GTEST_SKIP() << err.message;
    const Variable fault("REALIZAR_OPENCL_FAIL", "submit:1");
    EXPECT_CODE(RZ_DEVICE_LOST, err, whole_life(err));
}

// Binaries are kept; a damaged one is built again and replaced.
TEST(OpenClFaults, DamagedBinariesAreBuiltAgain) {
    const Graph graph = make_product();
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    const auto leaves = random_leaves(graph, {}, 1);
    auto expected = leaves;
    ASSERT_TRUE(ref_run(graph.view(), {}, expected).ok());
    Loaded first(backend, graph, {}, leaves);
    ASSERT_EQ(first.code, RZ_OK) << backend.err.message;
    const auto whole = backend.host.cache;
    ASSERT_GE(whole.size(), 4u); // pack, scale, quantize, matvec
    using Damage = void (*)(std::vector<std::byte> &);
    const Damage damages[] = {
        [](std::vector<std::byte> &) {},
        [](std::vector<std::byte> &entry) { entry.resize(entry.size() / 2); },
        [](std::vector<std::byte> &entry) { entry[entry.size() / 2] ^= std::byte{1}; },
        [](std::vector<std::byte> &entry) { entry.clear(); },
    };
    for (const Damage damage : damages) {
        Backend again;
        RZ_REQUIRE_OPENED(again);
        again.host.cache = whole;
        for (auto &[key, entry] : again.host.cache)
            damage(entry);
        Loaded loaded(again, graph, {}, leaves);
        ASSERT_EQ(loaded.code, RZ_OK) << again.err.message;
        EXPECT_CODE(RZ_OK, again.err, loaded.run());
        const TensorId y = graph.outputs()[0];
        EXPECT_LE(distance(loaded.floats(y), expected[y]), 0.02);
        for (const auto &[key, entry] : whole)
            EXPECT_EQ(again.host.cache.at(key).size(), entry.size()) << key;
    }
}

} // namespace
} // namespace realizar::test
