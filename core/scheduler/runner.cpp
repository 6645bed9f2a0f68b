#include "core/scheduler/runner_state.h"

#include <algorithm>
#include <limits>

namespace realizar {
namespace {

uint64_t bytes_now(const RegionTensor &tensor, std::span<const int64_t> symbols) {
    if (tensor.symbol == RZ_NONE) return tensor.fixed_bytes;
    return tensor.fixed_bytes * static_cast<uint64_t>(symbols[tensor.symbol]);
}

} // namespace

Runner::Runner() : state_(std::make_unique<State>()) {}
Runner::~Runner() = default;

Result<std::unique_ptr<Runner>> Runner::create(std::vector<Graph> variants,
                                               const RunnerOptions &options) {
    std::unique_ptr<Runner> runner(new Runner);
    State &state = *runner->state_;
    state.options = options;
    state.graphs = std::move(variants);
    state.given = state.graphs.size();
    state.variants.resize(state.given);
    RZ_TRY(state.prepare());
    state.options.progress = nullptr; // it may refer to things of the caller that end now
    return runner;
}

Status Runner::State::await(size_t device, uint64_t value) {
    Lane &lane = lanes[device];
    if (lane.done >= value) return {};
    auto status = lane.timeline.wait(value, std::numeric_limits<uint64_t>::max());
    if (status.ok()) {
        lane.done = value;
    } else if (status.error().code == Code::device_lost) {
        lost = device;
    }
    return status;
}

// What the region gets and gives: from and to the caller, or other regions.
void Runner::State::gather(const Variant &variant, CompiledRegion &region,
                           std::span<const int64_t> symbols, std::span<const StepUpdate> updates,
                           std::span<const StepRead> reads) {
    region.updates.clear();
    for (const RegionTensor &input : region.inputs) {
        const auto made = carried.find(input.original);
        bool given_here = false;
        for (const StepUpdate &update : updates) {
            if (update.tensor != input.original) continue;
            region.updates.push_back({sizeof(rz_update), 0, input.local, update.repeat, 0,
                                      update.bytes.size(), update.bytes.data()});
            given_here = true;
        }
        if (!given_here && made != carried.end())
            region.updates.push_back({sizeof(rz_update), 0, input.local, 0, 0,
                                      bytes_now(input, symbols), made->second.data()});
    }
    // A single region hands its outputs straight to the caller; otherwise all outputs are carried,
    // because a later region may need them.
    region.reads.clear();
    const bool single = variant.regions.size() == 1;
    for (const RegionTensor &output : region.outputs) {
        for (const StepRead &read : reads)
            if (single && read.tensor == output.original)
                region.reads.push_back({sizeof(rz_read), 0, output.local, read.repeat, 0,
                                        read.bytes.size(), read.bytes.data()});
        if (!single)
            region.reads.push_back({sizeof(rz_read), 0, output.local, 0, 0,
                                    bytes_now(output, symbols), carried[output.original].data()});
    }
}

Status Runner::State::submit(CompiledRegion &region, std::span<const int64_t> symbols,
                             const StepRepeats &repeats) {
    const auto local = [](const std::vector<RegionTensor> &list, TensorId original) {
        const auto found = std::ranges::find(list, original, &RegionTensor::original);
        return found == list.end() ? kNoTensor : found->local;
    };
    const rz_chain chain{sizeof(rz_chain), 0, local(region.outputs, repeats.from),
                         local(region.inputs, repeats.to)};
    Lane &lane = lanes[region.device];
    const rz_point signal{lane.timeline.get(), lane.submitted + 1};
    rz_submit submit{};
    submit.instance = region.instance.get();
    submit.symbols = symbols.data();
    submit.symbol_count = static_cast<uint32_t>(symbols.size());
    submit.updates = region.updates.data();
    submit.update_count = static_cast<uint32_t>(region.updates.size());
    submit.reads = region.reads.data();
    submit.read_count = static_cast<uint32_t>(region.reads.size());
    submit.signals = &signal;
    submit.signal_count = 1;
    if (repeats.times > 1) {
        submit.steps = repeats.times;
        submit.chains = &chain;
        submit.chain_count = 1;
        submit.chain_stride = sizeof chain;
    }
    auto status = lane.queue.submit(submit);
    if (status.ok()) {
        region.signal = ++lane.submitted;
    } else if (status.error().code == Code::device_lost) {
        lost = region.device;
    }
    return status;
}

Status Runner::State::finish(Status status) {
    for (size_t d = 0; d < lanes.size(); ++d) {
        Lane &lane = lanes[d];
        if (!lane.queue) continue;
        auto awaited = await(d, lane.submitted);
        if (!awaited.ok()) {
            // A failed timeline stays failed; the next step may fare better (memory, cancellation).
            auto fresh = Timeline::create(options.devices[d], 0);
            if (fresh.ok()) {
                lane.timeline = std::move(fresh).value();
                lane.submitted = lane.done = 0;
            }
        }
        if (status.ok()) status = std::move(awaited);
    }
    return status;
}

Status Runner::step(size_t variant, std::span<const int64_t> symbols,
                    std::span<const StepUpdate> updates, std::span<const StepRead> reads,
                    const StepRepeats &repeats) {
    State &state = *state_;
    RZ_TRY(state.broken);
    Variant &chosen = state.variants.at(variant);
    const auto run = [&]() -> Status {
        for (CompiledRegion &region : chosen.regions) {
            for (const size_t need : region.needs)
                RZ_TRY(state.await(chosen.regions[need].device, chosen.regions[need].signal));
            state.gather(chosen, region, symbols, updates, reads);
            RZ_TRY(state.submit(region, symbols, repeats));
        }
        return {};
    };
    RZ_TRY(state.finish(run()));
    if (chosen.regions.size() == 1) return {};
    for (const StepRead &read : reads) {
        const auto &bytes = state.carried.at(read.tensor);
        std::copy_n(bytes.begin(), std::min(bytes.size(), read.bytes.size()), read.bytes.begin());
    }
    return {};
}

uint32_t Runner::most_repeats() const {
    const DevicePtr &device = devices()[placement().front().device];
    return placement().size() == 1 && (device->info().caps & RZ_CAP_STEPS) ? RZ_MAX_STEPS : 1;
}

std::vector<TensorId> Runner::states() const {
    std::vector<TensorId> ids;
    for (const auto &[id, buffer] : state_->states)
        ids.push_back(id);
    return ids;
}

Status Runner::read_state(TensorId state, uint64_t offset, std::span<std::byte> bytes) const {
    return state_->states.at(state).read(offset, bytes);
}

Status Runner::write_state(TensorId state, uint64_t offset, std::span<const std::byte> bytes) {
    return state_->states.at(state).write(offset, bytes);
}

const Graph &Runner::graph(size_t variant) const { return state_->graphs.at(variant); }
const Placement &Runner::placement(size_t variant) const {
    return state_->variants.at(variant).placement;
}
const std::vector<DevicePtr> &Runner::devices() const { return state_->options.devices; }

std::vector<std::string> Runner::describe_placement() const {
    std::vector<std::string> lines;
    for (const PlacedRegion &region : placement())
        lines.push_back(devices()[region.device]->label() + " nodes " +
                        std::to_string(region.begin) + "-" + std::to_string(region.end - 1) + ": " +
                        region.reason);
    return lines;
}

uint64_t Runner::weight_bytes() const {
    uint64_t total = 0;
    for (const auto &[key, loaded] : state_->weights)
        total += loaded.plan.resident;
    return total;
}

uint64_t Runner::aliased_bytes() const {
    uint64_t total = 0;
    for (const auto &[key, loaded] : state_->weights)
        total += loaded.plan.aliased;
    return total;
}

uint64_t Runner::state_bytes() const { return state_->state_bytes; }

} // namespace realizar
