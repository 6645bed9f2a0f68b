// The wrappers: order of destruction, mapping of codes, and calls through a real library.
#include "core/plugin/device.h"

#include "tests/plugin/plugin_folder.h"

#include <cstring>
#include <thread>

namespace realizar {
namespace {

std::filesystem::path null_plugin() {
    return std::filesystem::path(REALIZAR_BINARY_DIR) / "plugins-extra" / "null.so";
}

DevicePtr null_device(Host &host) {
    auto plugin = load_plugin_file(null_plugin());
    EXPECT_TRUE(plugin.ok()) << plugin.error().message;
    auto driver = Driver::create(std::move(*plugin), host);
    EXPECT_TRUE(driver.ok()) << driver.error().message;
    auto device = Device::open(std::move(*driver), 0);
    EXPECT_TRUE(device.ok()) << device.error().message;
    return std::move(*device);
}

TEST(Errors, KeepCodeMessageNodeAndDriverCode) {
    rz_error error{};
    error.struct_size = sizeof error;
    error.node = 3;
    error.native_code = -5;
    std::strcpy(error.message, "expected A,\nfound B");
    const Error mapped = error_from_abi(RZ_UNSUPPORTED, error, "cpu");
    EXPECT_EQ(mapped.code, Code::unsupported);
    EXPECT_EQ(mapped.tag, "backend_unsupported");
    EXPECT_EQ(mapped.message, "cpu: expected A,\\x0Afound B (node 3) (driver code -5)");
}

TEST(Errors, CoverEveryCode) {
    const std::pair<rz_code, Code> expected[] = {
        {RZ_UNSUPPORTED, Code::unsupported},
        {RZ_UNAVAILABLE, Code::unavailable},
        {RZ_OUT_OF_MEMORY, Code::out_of_memory},
        {RZ_BUSY, Code::unavailable},
        {RZ_TIMEOUT, Code::timeout},
        {RZ_CANCELLED, Code::cancelled},
        {RZ_DEVICE_LOST, Code::device_lost},
        {RZ_INVALID_ARGUMENT, Code::invalid_argument},
        {RZ_INTERNAL, Code::internal},
        {RZ_VERSION_MISMATCH, Code::unsupported},
        {4711, Code::internal},
        {-1, Code::internal},
    };
    for (const auto &[code, ours] : expected) {
        rz_error error{};
        error.node = RZ_NONE;
        const Error mapped = error_from_abi(code, error, "p");
        EXPECT_EQ(mapped.code, ours) << code;
        EXPECT_EQ(mapped.tag.rfind("backend_", 0), 0u);
        EXPECT_GT(mapped.message.size(), 4u) << "a text even where the plugin gave none";
    }
}

TEST(Errors, SurviveAMessageWithoutEnd) {
    rz_error error{};
    error.node = RZ_NONE;
    std::memset(error.message, 'x', sizeof error.message);
    EXPECT_EQ(error_from_abi(RZ_INTERNAL, error, "p").message.size(),
              sizeof error.message + strlen("p: "));
}

TEST(Wrappers, RunTheNullDevice) {
    Host host(HostOptions{});
    {
        const DevicePtr device = null_device(host);
        EXPECT_EQ(device->label(), "null:0");
        EXPECT_EQ(device->capabilities()->size(), 0u);

        auto buffer = Buffer::create(device, 100);
        ASSERT_TRUE(buffer.ok());
        EXPECT_EQ(host.allocated(), 100u);
        std::array<std::byte, 100> bytes;
        bytes.fill(std::byte{7});
        ASSERT_TRUE(buffer->read(0, bytes).ok());
        EXPECT_EQ(bytes[99], std::byte{0});
        bytes.fill(std::byte{9});
        ASSERT_TRUE(buffer->write(1, std::span(bytes).first(50)).ok());
        auto other = Buffer::create(device, 10);
        ASSERT_TRUE(other->copy_from(2, *buffer, 1, 3).ok());
        EXPECT_EQ(static_cast<std::byte *>(other->map())[4], std::byte{9});
        EXPECT_EQ(static_cast<std::byte *>(other->map())[5], std::byte{0});
        const Status outside = buffer->write(51, std::span(bytes).first(50));
        EXPECT_EQ(outside.error().code, Code::invalid_argument);
        EXPECT_EQ(outside.error().message.rfind("null: ", 0), 0u) << outside.error().message;
        EXPECT_EQ(device->counters()->memory_used, 110u);
    }
    EXPECT_EQ(host.allocated(), 0u);
}

TEST(Wrappers, CompileNamesTheNode) {
    Host host(HostOptions{});
    const DevicePtr device = null_device(host);
    rz_tensor tensors[2]{};
    for (uint32_t i = 0; i < 2; ++i) {
        tensors[i].struct_size = sizeof tensors[i];
        tensors[i].role = i == 0 ? RZ_ROLE_INPUT : RZ_ROLE_TEMP;
        tensors[i].rank = 1;
        tensors[i].storage = i;
        tensors[i].dims[0] = 8;
        tensors[i].strides[0] = 4;
    }
    const uint32_t in = 0, out = 1;
    rz_node node{sizeof node, 0, RZ_OP_SOFTMAX, 1, 1, 1, &in, &out, nullptr, 0};
    rz_graph graph{};
    graph.struct_size = sizeof graph;
    graph.tensors = tensors;
    graph.tensor_count = 2;
    graph.tensor_stride = sizeof tensors[0];
    graph.nodes = &node;
    graph.node_count = 1;
    graph.node_stride = sizeof node;
    EXPECT_EQ(*device->classify(graph), std::vector<uint8_t>{RZ_NODE_NO});
    uint32_t failed = RZ_NONE;
    const auto program = Program::compile(device, graph, nullptr, {}, &failed);
    ASSERT_FALSE(program.ok());
    EXPECT_EQ(program.error().code, Code::unsupported);
    EXPECT_EQ(failed, 0u);
    tensors[1].storage = 2;
    EXPECT_EQ(device->classify(graph).error().code, Code::invalid_argument);
}

TEST(Wrappers, TimelinesWaitAcrossThreads) {
    Host host(HostOptions{});
    const DevicePtr device = null_device(host);
    auto timeline = Timeline::create(device, 5);
    ASSERT_TRUE(timeline.ok());
    EXPECT_EQ(*timeline->query(), 5u);
    EXPECT_TRUE(timeline->wait(5, 0).ok());
    EXPECT_EQ(timeline->wait(6, 1000).error().code, Code::timeout);
    EXPECT_EQ(timeline->signal(5).error().code, Code::invalid_argument);
    std::thread signaller([&] { EXPECT_TRUE(timeline->signal(7).ok()); });
    EXPECT_TRUE(timeline->wait(7, UINT64_MAX).ok());
    signaller.join();
}

// A submission of the empty region: the null device's way from graph to signal.
TEST(Wrappers, SubmitWaitsAndSignals) {
    Host host(HostOptions{});
    const DevicePtr device = null_device(host);
    rz_graph graph{};
    graph.struct_size = sizeof graph;
    const auto program = Program::compile(device, graph, nullptr, {});
    ASSERT_TRUE(program.ok()) << program.error().message;
    const auto instance = Instance::create(*program);
    auto queue = Queue::create(device);
    auto start = Timeline::create(device, 0), done = Timeline::create(device, 0);
    const rz_point wait{start->get(), 1}, signal{done->get(), 4};
    rz_submit work{};
    work.instance = instance->get();
    work.waits = &wait;
    work.wait_count = 1;
    work.signals = &signal;
    work.signal_count = 1;
    std::thread starter([&] { EXPECT_TRUE(start->signal(1).ok()); });
    ASSERT_TRUE(queue->submit(work).ok());
    starter.join();
    EXPECT_TRUE(done->wait(4, 0).ok());
    EXPECT_EQ(device->counters()->submissions, 1u);
    // The same signal again does not rise.
    EXPECT_EQ(queue->submit(work).error().code, Code::invalid_argument);
    work.flags = 1;
    EXPECT_EQ(queue->submit(work).error().code, Code::unsupported);
}

// A plugin that writes down who dies when.
std::string order;
struct Recorder {
    std::shared_ptr<const Plugin> null;
    rz_driver_api driver{};
    rz_device_api device{};
    rz_weights_api weights{};
    rz_program_api program{};
    rz_instance_api instance{};
    rz_plugin table{};
};

Recorder &recorder() {
    static Recorder recorder;
    return recorder;
}

template <class T, auto Table, char Letter>
void recorded(T *handle) {
    order += Letter;
    const rz_plugin &null = recorder().null->table();
    if constexpr (std::is_same_v<T, rz_device>)
        null.device->close(handle);
    else
        (null.*Table)->destroy(handle);
}

TEST(Wrappers, DestroyInTheOrderOfTheAbi) {
    Recorder &r = recorder();
    r.null = *load_plugin_file(null_plugin());
    r.table = r.null->table();
    r.driver = *r.table.driver;
    r.device = *r.table.device;
    r.weights = *r.table.weights;
    r.program = *r.table.program;
    r.instance = *r.table.instance;
    r.driver.destroy = recorded<rz_driver, &rz_plugin::driver, 'D'>;
    r.device.close = recorded<rz_device, &rz_plugin::device, 'd'>;
    r.weights.destroy = recorded<rz_weights, &rz_plugin::weights, 'w'>;
    r.program.destroy = recorded<rz_program, &rz_plugin::program, 'p'>;
    r.instance.destroy = recorded<rz_instance, &rz_plugin::instance, 'i'>;
    r.table.driver = &r.driver;
    r.table.device = &r.device;
    r.table.weights = &r.weights;
    r.table.program = &r.program;
    r.table.instance = &r.instance;
    order.clear();
    Host host(HostOptions{});
    Instance last;
    {
        auto plugin = Plugin::from_table(&r.table);
        ASSERT_TRUE(plugin.ok()) << plugin.error().message;
        auto driver = Driver::create(*plugin, host);
        DevicePtr device = *Device::open(std::move(*driver), 0);
        rz_graph graph{};
        graph.struct_size = sizeof graph;
        auto weights = Weights::create(device, graph, 0);
        ASSERT_TRUE(weights.ok() && weights->finish().ok());
        auto program = Program::compile(device, graph, &*weights, {});
        ASSERT_TRUE(program.ok());
        const Weights elsewhere = std::move(*weights);
        last = std::move(*Instance::create(*program));
    } // everything but the instance goes out of scope
    EXPECT_EQ(order, "");
    last = Instance();
    EXPECT_EQ(order, "ipwdD");
}

} // namespace
} // namespace realizar
