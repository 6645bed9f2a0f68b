// What it takes to hand work and values to a device: one light operator on few and on many bytes.
#include "core/graph/builder.h"
#include "core/scheduler/cost_measure.h"

#include <algorithm>
#include <limits>

namespace realizar {
namespace {

constexpr int64_t kWidth = 64, kRows = 65536; // 256 bytes and 16 MiB
constexpr size_t kFewRuns = 9, kMostRuns = 500;
constexpr double kEnough = 0.03; // seconds

struct Probe {
    Graph graph;
    TensorId in, out;
    Program program;
    Instance instance;
    Queue queue;
    Timeline timeline;
    uint64_t signalled = 0;
    std::vector<float> data = std::vector<float>(kWidth * kRows, 0.5f);

    Result<double> run(int64_t rows, bool update, bool read);
    Result<double> median(int64_t rows, bool update, bool read);
};

Result<double> Probe::run(int64_t rows, bool update, bool read) {
    const auto bytes = static_cast<uint64_t>(rows * kWidth) * sizeof(float);
    const rz_update to{sizeof(rz_update), 0, in, 0, 0, bytes, data.data()};
    const rz_read from{sizeof(rz_read), 0, out, 0, 0, bytes, data.data()};
    const rz_point signal{timeline.get(), ++signalled};
    rz_submit submit{};
    submit.instance = instance.get();
    submit.symbols = &rows;
    submit.symbol_count = 1;
    submit.updates = &to;
    submit.update_count = update;
    submit.reads = &from;
    submit.read_count = read;
    submit.signals = &signal;
    submit.signal_count = 1;
    const auto start = std::chrono::steady_clock::now();
    RZ_TRY(queue.submit(submit));
    RZ_TRY(timeline.wait(signal.value, std::numeric_limits<uint64_t>::max()));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Result<double> Probe::median(int64_t rows, bool update, bool read) {
    RZ_TRY(run(rows, true, true)); // warm, and with data
    std::vector<double> seconds;
    double sum = 0;
    while (seconds.size() < kFewRuns || (sum < kEnough && seconds.size() < kMostRuns)) {
        RZ_ASSIGN(const double one, run(rows, update, read));
        seconds.push_back(one);
        sum += one;
    }
    // The later half: by then clocks have risen.
    return robust_cost(std::span(seconds).subspan(seconds.size() / 2)).seconds;
}

Status prepare(Probe &probe, const DevicePtr &device, uint32_t op) {
    GraphBuilder b;
    probe.in = b.input("x", DType::F32, {b.symbol(1, kRows, 1), kWidth});
    probe.out = b.output(op == RZ_OP_ADD ? b.add(probe.in, probe.in) : b.scale(probe.in, 2), "y");
    RZ_ASSIGN(probe.graph, std::move(b).build());
    rz_compile_options options{};
    options.struct_size = sizeof options;
    RZ_ASSIGN(probe.program, Program::compile(device, probe.graph.view(), nullptr, options));
    RZ_ASSIGN(probe.instance, Instance::create(probe.program));
    RZ_ASSIGN(probe.queue, Queue::create(device));
    RZ_ASSIGN(probe.timeline, Timeline::create(device, 0));
    return {};
}

} // namespace

Result<LinkCost> measure_link(const DevicePtr &device) {
    Probe probe;
    auto ready = prepare(probe, device, RZ_OP_SCALE);
    if (!ready.ok() && ready.error().code == Code::unsupported) {
        probe = Probe();
        ready = prepare(probe, device, RZ_OP_ADD);
    }
    RZ_TRY(std::move(ready));
    LinkCost link;
    constexpr double kBytes = kWidth * kRows * sizeof(float);
    RZ_ASSIGN(const double in, probe.median(kRows, true, false));
    RZ_ASSIGN(const double out, probe.median(kRows, false, true));
    RZ_ASSIGN(const double none, probe.median(kRows, false, false));
    RZ_ASSIGN(link.launch, probe.median(1, true, true)); // last, on a warm device
    link.in = std::max(0.0, in - none) / kBytes;
    link.out = std::max(0.0, out - none) / kBytes;
    return link;
}

} // namespace realizar
