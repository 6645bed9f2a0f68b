#include "core/scheduler/runner_state.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace realizar {
namespace {

uint64_t bytes_now(const RegionTensor &tensor, std::span<const int64_t> symbols) {
    if (tensor.symbol == RZ_NONE) return tensor.fixed_bytes;
    return tensor.fixed_bytes * static_cast<uint64_t>(symbols[tensor.symbol]);
}

} // namespace

Runner::Runner() : state_(std::make_unique<State>()) {}
Runner::~Runner() {
    if (state_) (void)wait();
}

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

Result<bool> Runner::State::reached(size_t device, uint64_t value, bool wait) {
    Lane &lane = lanes[device];
    if (lane.done >= value) return true;
    Result<bool> there = true;
    if (!wait) {
        there = lane.timeline.reached(value);
    } else if (auto status = lane.timeline.wait(value, std::numeric_limits<uint64_t>::max());
               !status.ok()) {
        there = std::move(status).error();
    }
    if (there.ok() && *there) lane.done = value;
    if (!there.ok() && there.error().code == Code::device_lost) lost = device;
    return there;
}

// What the region gets and gives: from and to the caller, or other regions.
void Runner::State::gather(CompiledRegion &region) {
    region.updates.clear();
    for (const RegionTensor &input : region.inputs) {
        const auto made = carried.find(input.original);
        bool given_here = false;
        for (const StepUpdate &update : running.updates) {
            if (update.tensor != input.original) continue;
            region.updates.push_back({sizeof(rz_update), 0, input.local, update.repeat, 0,
                                      update.bytes.size(), update.bytes.data()});
            given_here = true;
        }
        if (!given_here && made != carried.end())
            region.updates.push_back({sizeof(rz_update), 0, input.local, 0, 0,
                                      bytes_now(input, running.symbols), made->second.data()});
    }
    // A single region hands its outputs straight to the caller; otherwise all outputs are carried,
    // because a later region may need them.
    region.reads.clear();
    const bool single = running.variant->regions.size() == 1;
    for (const RegionTensor &output : region.outputs) {
        for (const StepRead &read : running.reads)
            if (single && read.tensor == output.original)
                region.reads.push_back({sizeof(rz_read), 0, output.local, read.repeat, 0,
                                        read.bytes.size(), read.bytes.data()});
        if (!single)
            region.reads.push_back({sizeof(rz_read), 0, output.local, 0, 0,
                                    bytes_now(output, running.symbols),
                                    carried[output.original].data()});
    }
}

Status Runner::State::submit(CompiledRegion &region) {
    const auto local = [](const std::vector<RegionTensor> &list, TensorId original) {
        const auto found = std::ranges::find(list, original, &RegionTensor::original);
        return found == list.end() ? kNoTensor : found->local;
    };
    const rz_chain chain{sizeof(rz_chain), 0, local(region.outputs, running.repeats.from),
                         local(region.inputs, running.repeats.to)};
    Lane &lane = lanes[region.device];
    const rz_point signal{lane.timeline.get(), lane.submitted + 1};
    rz_submit submit{};
    submit.instance = region.instance.get();
    submit.symbols = running.symbols.data();
    submit.symbol_count = static_cast<uint32_t>(running.symbols.size());
    submit.updates = region.updates.data();
    submit.update_count = static_cast<uint32_t>(region.updates.size());
    submit.reads = region.reads.data();
    submit.read_count = static_cast<uint32_t>(region.reads.size());
    submit.signals = &signal;
    submit.signal_count = 1;
    if (running.repeats.times > 1) {
        submit.steps = running.repeats.times;
        submit.chains = &chain;
        submit.chain_count = 1;
        submit.chain_stride = sizeof chain;
    }
    auto status = lane.queue.submit(submit);
    if (status.ok()) {
        region.signal = ++lane.submitted;
        region.submitted = true;
        --running.left;
    } else if (status.error().code == Code::device_lost) {
        lost = region.device;
    }
    return status;
}

Status Runner::State::advance(bool wait) {
    std::vector<CompiledRegion> &regions = running.variant->regions;
    for (CompiledRegion &region : regions) {
        if (region.submitted) continue;
        bool ready = true;
        for (const size_t need : region.needs) {
            // Only the first one that waits is waited for: those behind it may be ready before.
            if (ready && regions[need].submitted) {
                RZ_ASSIGN(ready, reached(regions[need].device, regions[need].signal, wait));
            } else {
                ready = false;
            }
        }
        if (!ready) continue;
        wait = false;
        gather(region);
        RZ_TRY(submit(region));
    }
    return {};
}

Status Runner::State::finish(Status status) {
    for (size_t d = 0; d < lanes.size(); ++d) {
        Lane &lane = lanes[d];
        if (!lane.queue) continue;
        auto awaited = reached(d, lane.submitted, true);
        if (!awaited.ok()) {
            // A failed timeline stays failed; the next step may fare better (memory, cancellation).
            auto fresh = Timeline::create(options.devices[d], 0);
            if (fresh.ok()) {
                lane.timeline = std::move(fresh).value();
                lane.submitted = lane.done = 0;
            }
            if (status.ok()) status = std::move(awaited).error();
        }
    }
    const Variant &variant = *std::exchange(running.variant, nullptr);
    if (!status.ok() || variant.regions.size() == 1) return status;
    for (const StepRead &read : running.reads) {
        const auto &bytes = carried.at(read.tensor);
        std::copy_n(bytes.begin(), std::min(bytes.size(), read.bytes.size()), read.bytes.begin());
    }
    return {};
}

Status Runner::step(size_t variant, std::span<const int64_t> symbols,
                    std::span<const StepUpdate> updates, std::span<const StepRead> reads,
                    const StepRepeats &repeats) {
    RZ_TRY(start(variant, symbols, updates, reads, repeats));
    return wait();
}

Status Runner::start(size_t variant, std::span<const int64_t> symbols,
                     std::span<const StepUpdate> updates, std::span<const StepRead> reads,
                     const StepRepeats &repeats) {
    State &state = *state_;
    RZ_TRY(state.broken);
    if (state.running.variant)
        return make_error(Code::invalid_argument, "step_running",
                          "expected the step before to have ended");
    Variant &chosen = state.variants.at(variant);
    state.running = {&chosen, symbols, updates, reads, repeats, chosen.regions.size()};
    for (CompiledRegion &region : chosen.regions)
        region.submitted = false;
    auto status = state.advance(false);
    return status.ok() ? status : state.finish(std::move(status));
}

Result<bool> Runner::poll() {
    State &state = *state_;
    if (!state.running.variant) return true;
    auto status = state.advance(false);
    for (size_t d = 0; status.ok() && d < state.lanes.size(); ++d) {
        if (state.running.left > 0) return false;
        if (!state.lanes[d].queue) continue;
        auto there = state.reached(d, state.lanes[d].submitted, false);
        if (there.ok() && !*there) return false;
        if (!there.ok()) status = std::move(there).error();
    }
    RZ_TRY(state.finish(std::move(status)));
    return true;
}

Status Runner::wait() {
    State &state = *state_;
    if (!state.running.variant) return {};
    Status status;
    while (status.ok() && state.running.left > 0)
        status = state.advance(true);
    return state.finish(std::move(status));
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
