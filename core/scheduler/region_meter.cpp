#include "core/scheduler/region_meter.h"

#include "core/scheduler/runner_state.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace realizar {
namespace {

using Clock = std::chrono::steady_clock;

// Runs of one measurement: enough for a median, and no longer than a person would notice.
constexpr size_t kFewRuns = 5, kMostRuns = 2000;
constexpr double kEnough = 0.05, kSlow = 0.4, kVerySlow = 8; // seconds
// The clocks of a device rise with its work: measuring goes on until the later half of the runs is
// as fast as the earlier one but for this part.
constexpr double kSettled = 0.03;

uint64_t bytes_of(const rz_tensor &tensor, std::span<const int64_t> symbols) {
    const RegionTensor part = describe_tensor(tensor, 0, 0);
    return part.symbol == RZ_NONE ? part.fixed_bytes
                                  : part.fixed_bytes * static_cast<uint64_t>(symbols[part.symbol]);
}

// Values between -1 and 1, always the same (a linear congruence of Knuth's MMIX).
void fill_with_noise(std::vector<float> &noise, size_t bytes) {
    const size_t count = bytes / sizeof(float);
    uint64_t state = noise.size() + 1;
    while (noise.size() < count) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        noise.push_back(static_cast<float>(static_cast<int64_t>(state) >> 40) / 0x1p23f);
    }
}

Cost later_half(std::span<const double> seconds) {
    return robust_cost(seconds.subspan(seconds.size() / 2));
}

bool settled(std::span<const double> seconds) {
    const double before = robust_cost(seconds.first(seconds.size() / 2)).seconds;
    return std::abs(later_half(seconds).seconds - before) <= kSettled * before;
}

} // namespace

Result<RegionMeter> RegionMeter::create(const DevicePtr &device, const MeasureOptions &options,
                                        size_t begin, size_t end) {
    RegionMeter meter(device, options, begin, end);
    RZ_ASSIGN(meter.timeline_, Timeline::create(device, 0));
    RZ_ASSIGN(meter.queue_, Queue::create(device));
    uint64_t done = 0;
    const Graph::Region part = options.variants.front().extract(begin, end);
    RunnerOptions load;
    load.weights = options.weights;
    load.release = options.release;
    load.progress = [&](uint64_t, uint64_t) { return !options.go_on || options.go_on(); };
    RZ_ASSIGN(meter.weights_,
              load_weights(device, part.graph, load, {}, done, weight_source_bytes(part.graph)));
    return meter;
}

Result<RegionMeter::Compiled *> RegionMeter::compiled(size_t variant) {
    if (const auto found = compiled_.find(variant); found != compiled_.end()) return &found->second;
    Compiled region{options_->variants[variant].extract(begin_, end_), {}, {}};
    rz_compile_options compile_options{};
    compile_options.struct_size = sizeof compile_options;
    RZ_ASSIGN(region.program, Program::compile(device_, region.part.graph.view(), &weights_.weights,
                                               compile_options));
    RZ_ASSIGN(region.instance, Instance::create(region.program));
    std::vector<rz_binding> bindings;
    for (TensorId id = 0; id < region.part.graph.tensors().size(); ++id) {
        const rz_tensor &tensor = region.part.graph.tensors()[id];
        if (tensor.role != RZ_ROLE_STATE || tensor.storage != id) continue;
        auto found = states_.find(tensor.key);
        if (found == states_.end()) {
            RZ_ASSIGN(Buffer buffer, Buffer::create(device_, bytes_of(tensor, {})));
            found = states_.emplace(tensor.key, std::move(buffer)).first;
        }
        bindings.push_back({sizeof(rz_binding), 0, id, 0, found->second.get(), 0});
    }
    if (!bindings.empty()) RZ_TRY(region.instance.bind(bindings));
    return &compiled_.emplace(variant, std::move(region)).first->second;
}

Result<double> RegionMeter::run(Compiled &region, const StepSample &sample, bool first) {
    const Graph &graph = region.part.graph;
    const Graph &whole = options_->variants[sample.variant];
    std::vector<rz_update> updates;
    for (TensorId id = 0; id < graph.tensors().size(); ++id) {
        const rz_tensor &tensor = graph.tensors()[id];
        if (tensor.role != RZ_ROLE_INPUT || tensor.storage != id) continue;
        const TensorId original = region.part.original[id];
        const auto given = std::ranges::find(sample.inputs, original,
                                             &std::pair<TensorId, std::vector<std::byte>>::first);
        rz_update update{sizeof(rz_update), 0, id, 0, 0, bytes_of(tensor, sample.symbols), nullptr};
        if (given != sample.inputs.end()) {
            update.size = given->second.size();
            update.data = given->second.data();
        } else {
            if (!first) continue; // what other parts make is there already: transfers cost extra
            if (noise_.size() * sizeof(float) < update.size) fill_with_noise(noise_, update.size);
            update.data = noise_.data();
        }
        updates.push_back(update);
    }
    std::vector<rz_read> reads;
    for (const TensorId id : graph.outputs()) {
        const auto outputs = whole.outputs();
        if (std::ranges::find(outputs, region.part.original[id]) == outputs.end()) continue;
        result_.resize(
            std::max<size_t>(result_.size(), bytes_of(graph.tensors()[id], sample.symbols)));
        reads.push_back({sizeof(rz_read), 0, id, 0, 0,
                         bytes_of(graph.tensors()[id], sample.symbols), result_.data()});
    }
    const rz_point signal{timeline_.get(), ++signalled_};
    rz_submit submit{};
    submit.instance = region.instance.get();
    submit.symbols = sample.symbols.data();
    submit.symbol_count = static_cast<uint32_t>(sample.symbols.size());
    submit.updates = updates.data();
    submit.update_count = static_cast<uint32_t>(updates.size());
    submit.reads = reads.data();
    submit.read_count = static_cast<uint32_t>(reads.size());
    submit.signals = &signal;
    submit.signal_count = 1;
    const auto start = Clock::now();
    RZ_TRY(queue_.submit(submit));
    RZ_TRY(timeline_.wait(signal.value, std::numeric_limits<uint64_t>::max()));
    return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<Cost> RegionMeter::time(const StepSample &sample) {
    RZ_ASSIGN(Compiled * region, compiled(sample.variant));
    RZ_ASSIGN(const double cold, run(*region, sample, true));
    if (cold > kVerySlow) return Cost{cold, 1, 1};
    // The first run may compile something: it tells nothing about a device that is fast.
    RZ_ASSIGN(const double warm, run(*region, sample, false));
    if (warm > kSlow) return Cost{warm, 1, 1};
    std::vector<double> seconds;
    double sum = 0, next_look = kEnough;
    while (seconds.size() < kMostRuns && sum < kSlow) {
        RZ_ASSIGN(const double one, run(*region, sample, false));
        seconds.push_back(one);
        sum += one;
        if (seconds.size() < kFewRuns || sum < next_look) continue;
        if (settled(seconds)) break;
        next_look = 2 * sum;
    }
    return later_half(seconds);
}

} // namespace realizar
