// Missing drivers, wrong settings, and failures on purpose: all come back as codes.
#include "backend.h"

#include "core/graph/builder.h"

#include <cstdio>

namespace realizar::vulkan::test {
namespace {

Graph make_scale() {
    GraphBuilder b;
    const TensorId x = b.input("x", DType::F32, {2, 33});
    const TensorId w = b.weight("w", DType::F32, {5, 33}, 1);
    b.output(b.matmul(w, b.scale(x, 2)), "y");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return std::move(graph).value();
}

std::vector<RefValue> leaves_of(const Graph &graph) {
    std::vector<RefValue> leaves(graph.tensors().size());
    for (size_t i = 0; i < leaves.size(); ++i) {
        const rz_tensor &t = graph.tensors()[i];
        leaves[i].dims.assign(t.dims, t.dims + t.rank);
        for (int64_t n = 0; n < t.dims[0] * t.dims[1]; ++n)
            leaves[i].data.push_back(static_cast<double>(n % 7) - 3);
    }
    return leaves;
}

rz_code whole_life(Error &err) {
    const Graph graph = make_scale();
    Backend backend("", false);
    if (backend.opened != RZ_OK) {
        err = backend.err;
        return backend.opened;
    }
    Loaded loaded(backend, graph, {}, leaves_of(graph));
    const rz_code code = loaded.code == RZ_OK ? loaded.run() : loaded.code;
    err = backend.err;
    return code;
}

TEST(Faults, NoDriverIsUnavailable) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            setenv("VK_DRIVER_FILES", "/nonexistent", 1);
            setenv("VK_ICD_FILENAMES", "/nonexistent", 1); // of older loaders
            Host host;
            Error err;
            rz_driver *driver = nullptr;
            const rz_code code = linked_plugin().driver->create(&host.table, &driver, &err);
            std::fprintf(stderr, "%s", err.message);
            _exit(code);
        },
        testing::ExitedWithCode(RZ_UNAVAILABLE), "install a driver");
}

TEST(Faults, UnknownSettingsAreRefused) {
    Host host;
    Error err;
    rz_driver *driver = nullptr;
    const auto create = [&] { return linked_plugin().driver->create(&host.table, &driver, &err); };
    {
        const Variable disable("REALIZAR_VULKAN_DISABLE", "int_dot,fp17");
        EXPECT_CODE(RZ_INVALID_ARGUMENT, err, create());
    }
    const Variable fault("REALIZAR_VULKAN_FAIL", "alloc:0");
    EXPECT_CODE(RZ_INVALID_ARGUMENT, err, create());
}

TEST(Faults, EveryAllocationMayFail) {
    Error err;
    const rz_code healthy = whole_life(err);
    if (healthy == RZ_UNAVAILABLE) GTEST_SKIP() << err.message;
    ASSERT_EQ(healthy, RZ_OK) << err.message;
    int failed = 0;
    for (int n = 1; n < 100; ++n) {
        const Variable fault("REALIZAR_VULKAN_FAIL", ("alloc:" + std::to_string(n)).c_str());
        const rz_code code = whole_life(err);
        if (code == RZ_OK) break;
        EXPECT_CODE(RZ_OUT_OF_MEMORY, err, code);
        ++failed;
    }
    EXPECT_GE(failed, 4); // weights, staging, inputs, scratch
    EXPECT_LT(failed, 99);
}

TEST(Faults, LostDeviceComesThroughTheTimeline) {
    Error err;
    if (whole_life(err) == RZ_UNAVAILABLE) GTEST_SKIP() << err.message;
    int lost = 0;
    for (int n = 1; n < 20; ++n) {
        const Variable fault("REALIZAR_VULKAN_FAIL", ("submit:" + std::to_string(n)).c_str());
        const rz_code code = whole_life(err);
        if (code == RZ_OK) break;
        EXPECT_CODE(RZ_DEVICE_LOST, err, code);
        ++lost;
    }
    EXPECT_GE(lost, 1);
    EXPECT_LT(lost, 19);
}

} // namespace
} // namespace realizar::vulkan::test
