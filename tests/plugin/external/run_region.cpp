// run_region FOLDER PROBE ID: finds the plugin ID in FOLDER as any program does and runs a region of
// two SCALE nodes on it, with a symbolic number of rows and a slice of columns as the operand.
#include "core/graph/builder.h"
#include "core/plugin/device.h"
#include "core/plugin/registry.h"

#include <cfloat>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

namespace realizar {
namespace {

constexpr int64_t kMaxRows = 9, kWidth = 12, kBegin = 3, kColumns = 7;
constexpr float kFactor = 1.7f, kBias = -0.3f;

Result<Graph> two_scales() {
    GraphBuilder builder;
    const int64_t rows = builder.symbol(1, kMaxRows, 4);
    const TensorId x = builder.input("x", DType::F32, {rows, kWidth});
    const TensorId columns = builder.slice_inner(x, kBegin, kColumns);
    const TensorId once = builder.scale(columns, kFactor, kBias);
    builder.output(builder.scale(once, kFactor, kBias), "y");
    return std::move(builder).build();
}

Result<DevicePtr> first_device(Registry &registry, Host &host, const std::string &id) {
    RZ_ASSIGN(const std::shared_ptr<const Plugin> plugin, registry.load(id));
    RZ_ASSIGN(std::shared_ptr<Driver> driver, Driver::create(plugin, host));
    return Device::open(std::move(driver), 0);
}

// One submission with `rows` rows; the results are compared with the same in double.
Status run_once(const Graph &graph, const Instance &instance, Queue &queue, Timeline &done,
                uint64_t point, int64_t rows) {
    std::mt19937 random(static_cast<uint32_t>(rows));
    std::uniform_real_distribution<float> values(-4.0f, 4.0f);
    std::vector<float> x(static_cast<size_t>(rows * kWidth));
    for (float &value : x)
        value = values(random);
    std::vector<float> y(static_cast<size_t>(rows * kColumns), NAN);
    rz_update update{sizeof update, 0, graph.find("x"), 0, 0, x.size() * sizeof(float), x.data()};
    rz_read read{sizeof read, 0, graph.find("y"), 0, 0, y.size() * sizeof(float), y.data()};
    const rz_point signal{done.get(), point};
    rz_submit work{};
    work.instance = instance.get();
    work.symbols = &rows;
    work.symbol_count = 1;
    work.updates = &update;
    work.update_count = 1;
    work.reads = &read;
    work.read_count = 1;
    work.signals = &signal;
    work.signal_count = 1;
    RZ_TRY(queue.submit(work));
    constexpr uint64_t kSecond = 1000000000;
    RZ_TRY(done.wait(point, 10 * kSecond));
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < kColumns; ++column) {
            const double in = x[static_cast<size_t>(row * kWidth + kBegin + column)];
            const double expected = (in * kFactor + kBias) * kFactor + kBias;
            const double found = y[static_cast<size_t>(row * kColumns + column)];
            // Four roundings, each of half an ulp of a value below 4 * kFactor^2 + 1.
            const double tolerance = 2 * FLT_EPSILON * (4 * kFactor * kFactor + 1);
            if (!(std::abs(found - expected) <= tolerance))
                return make_error(Code::internal, "wrong", "y[%lld, %lld]: expected %g, found %g",
                                  static_cast<long long>(row), static_cast<long long>(column),
                                  expected, found);
        }
    return {};
}

Status run(const std::string &folder, const std::string &probe, const std::string &id) {
    RegistryOptions options;
    options.folders = {folder};
    options.probe = probe;
    options.hello_timeout = options.device_timeout = std::chrono::seconds(30);
    RZ_ASSIGN(const std::unique_ptr<Registry> registry, Registry::scan(options));
    for (const PluginRecord &record : registry->records())
        std::printf("%s %s %s\n", record.id.c_str(), plugin_state_name(record.state),
                    record.reason.c_str());
    Host host(HostOptions{});
    RZ_ASSIGN(const DevicePtr device, first_device(*registry, host, id));
    RZ_ASSIGN(const Graph graph, two_scales());
    RZ_ASSIGN(const std::vector<uint8_t> states, device->classify(graph.view()));
    for (const uint8_t state : states)
        if (state != RZ_NODE_YES)
            return make_error(Code::unsupported, "node", "expected YES of every node");
    RZ_ASSIGN(const Program program, Program::compile(device, graph.view(), nullptr, {}));
    RZ_ASSIGN(const Instance instance, Instance::create(program));
    RZ_ASSIGN(Queue queue, Queue::create(device));
    RZ_ASSIGN(Timeline done, Timeline::create(device, 0));
    uint64_t point = 0;
    for (const int64_t rows : {int64_t{1}, int64_t{4}, kMaxRows})
        RZ_TRY(run_once(graph, instance, queue, done, ++point, rows));
    const int64_t too_many = kMaxRows + 1;
    const Status refused = run_once(graph, instance, queue, done, ++point, too_many);
    if (refused.ok() || refused.error().code != Code::invalid_argument)
        return make_error(Code::internal, "accepted", "expected %lld rows to be refused",
                          static_cast<long long>(too_many));
    return {};
}

} // namespace
} // namespace realizar

int main(int argc, char **argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: run_region FOLDER PROBE ID\n");
        return 2;
    }
    const realizar::Status status = realizar::run(argv[1], argv[2], argv[3]);
    if (!status.ok()) {
        std::fprintf(stderr, "error: %s\n", status.error().message.c_str());
        return 1;
    }
    std::printf("the region ran on '%s'\n", argv[3]);
    return 0;
}
