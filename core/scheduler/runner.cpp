#include "core/scheduler/runner.h"

#include "core/graph/infer.h"
#include "core/scheduler/weight_loader.h"

#include <algorithm>
#include <limits>
#include <map>

namespace realizar {
namespace {

// How a tensor of the whole graph appears inside one region.
struct RegionTensor {
    TensorId original;
    TensorId local;
    uint64_t fixed_bytes; // bytes, or bytes per row when the outermost dimension is a symbol
    uint32_t symbol;      // RZ_NONE when the size is fixed
};

// One region of one variant, compiled.
struct CompiledRegion {
    Program program;
    Instance instance;
    std::vector<RegionTensor> inputs, outputs;
    std::vector<rz_update> updates; // reused by every step
    std::vector<rz_read> reads;
};

struct Variant {
    Graph graph;
    std::vector<CompiledRegion> regions;
};

uint64_t bytes_now(const RegionTensor &tensor, std::span<const int64_t> symbols) {
    if (tensor.symbol == RZ_NONE) return tensor.fixed_bytes;
    return tensor.fixed_bytes * static_cast<uint64_t>(symbols[tensor.symbol]);
}

RegionTensor describe(const rz_tensor &tensor, TensorId original, TensorId local) {
    RegionTensor out{original, local, 0, RZ_NONE};
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor.rank; ++i) {
        if (tensor.dims[i] < 0) {
            out.symbol = RZ_SYMBOL_INDEX(tensor.dims[i]);
        } else {
            elements *= static_cast<uint64_t>(tensor.dims[i]);
        }
    }
    out.fixed_bytes = row_bytes(static_cast<DType>(tensor.dtype), elements);
    return out;
}

} // namespace

struct Runner::State {
    RunnerOptions options;
    std::vector<PlacedRegion> placement;
    // Members die from the bottom up, in the order that the ABI asks for.
    std::vector<Timeline> timelines;                    // by device; empty where no region runs
    std::vector<uint64_t> reached;                      // by device: last value signalled
    std::vector<Queue> queues;                          // by device
    std::map<TensorId, Buffer> states;                  // by tensor of the whole graph
    std::vector<LoadedWeights> weights;                 // by region
    std::map<TensorId, std::vector<std::byte>> carried; // values that pass between regions
    std::vector<Variant> variants;
    uint64_t state_bytes = 0;

    Status open_devices();
    // Whether weights and states fit into what the devices say is free.
    Status check_memory(const std::vector<Graph::Region> &parts) const;
    Status load(const std::vector<Graph::Region> &parts);
    Status compile(Variant &variant, const std::vector<Graph::Region> &parts);
    Result<CompiledRegion> compile_region(size_t index, const Graph::Region &part,
                                          const Graph &whole);
    Status bind_states(CompiledRegion &region, const Graph::Region &part, const DevicePtr &device);
    void gather(CompiledRegion &region, std::span<const int64_t> symbols,
                std::span<const StepUpdate> updates, std::span<const StepRead> reads);
    Status run_region(size_t index, CompiledRegion &region, std::span<const int64_t> symbols,
                      std::span<const StepUpdate> updates, std::span<const StepRead> reads,
                      const StepRepeats &repeats);
};

Runner::Runner() : state_(std::make_unique<State>()) {}
Runner::~Runner() = default;

Result<std::unique_ptr<Runner>> Runner::create(std::vector<Graph> variants,
                                               const RunnerOptions &options) {
    std::unique_ptr<Runner> runner(new Runner);
    State &state = *runner->state_;
    state.options = options;
    RZ_ASSIGN(state.placement, place(variants.at(0), options.devices, options.require_first));
    RZ_TRY(state.open_devices());
    for (Graph &graph : variants) {
        std::vector<Graph::Region> parts;
        for (const PlacedRegion &region : state.placement)
            parts.push_back(graph.extract(region.begin, region.end));
        if (state.weights.empty()) {
            RZ_TRY(state.check_memory(parts));
            RZ_TRY(state.load(parts));
        }
        state.variants.push_back({std::move(graph), {}});
        RZ_TRY(state.compile(state.variants.back(), parts));
    }
    // The load callbacks may refer to things of the caller that end now.
    state.options.weights = nullptr;
    state.options.progress = nullptr;
    state.options.release = nullptr;
    return runner;
}

Status Runner::State::open_devices() {
    queues.resize(options.devices.size());
    timelines.resize(options.devices.size());
    reached.resize(options.devices.size());
    for (const PlacedRegion &region : placement) {
        if (queues[region.device]) continue;
        const DevicePtr &device = options.devices[region.device];
        RZ_ASSIGN(queues[region.device], Queue::create(device));
        RZ_ASSIGN(timelines[region.device], Timeline::create(device, 0));
    }
    return {};
}

Status Runner::State::check_memory(const std::vector<Graph::Region> &parts) const {
    struct Need {
        uint64_t weights = 0, states = 0;
    };
    std::vector<Need> needs(options.devices.size());
    for (size_t i = 0; i < parts.size(); ++i) {
        const Graph &graph = parts[i].graph;
        Need &need = needs[placement[i].device];
        RZ_ASSIGN(const rz_weights_plan plan,
                  Weights::plan(options.devices[placement[i].device], graph.view()));
        need.weights += plan.resident + plan.scratch;
        for (TensorId id = 0; id < graph.tensors().size(); ++id) {
            const rz_tensor &tensor = graph.tensors()[id];
            if (tensor.role == RZ_ROLE_STATE && tensor.storage == id)
                need.states += describe(tensor, id, id).fixed_bytes;
        }
    }
    constexpr double kGiB = 1u << 30;
    for (size_t d = 0; d < needs.size(); ++d) {
        const uint64_t free = options.devices[d]->info().memory_free; // 0: not known
        if (free == 0 || needs[d].weights + needs[d].states <= free) continue;
        return make_error(
            Code::out_of_memory, "model_too_large",
            "%s: the weights need %.2f GiB and the KV cache %.2f GiB, but only %.2f "
            "GiB are free (a smaller context takes less)",
            options.devices[d]->label().c_str(), static_cast<double>(needs[d].weights) / kGiB,
            static_cast<double>(needs[d].states) / kGiB, static_cast<double>(free) / kGiB);
    }
    return {};
}

Status Runner::State::load(const std::vector<Graph::Region> &parts) {
    uint64_t total = 0, done = 0;
    for (const Graph::Region &part : parts)
        total += weight_source_bytes(part.graph);
    for (size_t i = 0; i < parts.size(); ++i) {
        const DevicePtr &device = options.devices[placement[i].device];
        RZ_ASSIGN(LoadedWeights loaded, load_weights(device, parts[i].graph, options, done, total));
        weights.push_back(std::move(loaded));
    }
    return {};
}

Status Runner::State::compile(Variant &variant, const std::vector<Graph::Region> &parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
        RZ_ASSIGN(CompiledRegion region, compile_region(i, parts[i], variant.graph));
        variant.regions.push_back(std::move(region));
    }
    return {};
}

Result<CompiledRegion> Runner::State::compile_region(size_t index, const Graph::Region &part,
                                                     const Graph &whole) {
    const DevicePtr &device = options.devices[placement[index].device];
    CompiledRegion region;
    rz_compile_options compile_options{};
    compile_options.struct_size = sizeof compile_options;
    RZ_ASSIGN(region.program, Program::compile(device, part.graph.view(), &weights[index].weights,
                                               compile_options));
    RZ_ASSIGN(region.instance, Instance::create(region.program));
    RZ_TRY(bind_states(region, part, device));

    for (TensorId local = 0; local < part.original.size(); ++local) {
        const rz_tensor &tensor = part.graph.tensors()[local];
        if (tensor.role != RZ_ROLE_INPUT || tensor.storage != local) continue;
        const TensorId original = part.original[local];
        region.inputs.push_back(describe(tensor, original, local));
    }
    for (const TensorId local : part.graph.outputs()) {
        const RegionTensor output =
            describe(part.graph.tensors()[local], part.original[local], local);
        region.outputs.push_back(output);
        if (placement.size() == 1) continue; // the caller's memory takes it
        const int64_t rows = output.symbol == RZ_NONE ? 1 : whole.symbols()[output.symbol].max;
        auto &bytes = carried[output.original];
        bytes.resize(std::max(bytes.size(), output.fixed_bytes * static_cast<uint64_t>(rows)));
    }
    region.updates.reserve(region.inputs.size());
    region.reads.reserve(region.outputs.size());
    return region;
}

Status Runner::State::bind_states(CompiledRegion &region, const Graph::Region &part,
                                  const DevicePtr &device) {
    std::vector<rz_binding> bindings;
    for (TensorId local = 0; local < part.original.size(); ++local) {
        const rz_tensor &tensor = part.graph.tensors()[local];
        if (tensor.role != RZ_ROLE_STATE || tensor.storage != local) continue;
        const TensorId original = part.original[local];
        auto found = states.find(original);
        if (found == states.end()) {
            const uint64_t size = describe(tensor, original, local).fixed_bytes;
            RZ_ASSIGN(Buffer buffer, Buffer::create(device, size));
            found = states.emplace(original, std::move(buffer)).first;
            state_bytes += size;
        }
        bindings.push_back({sizeof(rz_binding), 0, local, 0, found->second.get(), 0});
    }
    return bindings.empty() ? Status{} : region.instance.bind(bindings);
}

// What the region gets and gives: from and to the caller, or other regions.
void Runner::State::gather(CompiledRegion &region, std::span<const int64_t> symbols,
                           std::span<const StepUpdate> updates, std::span<const StepRead> reads) {
    region.updates.clear();
    for (const RegionTensor &input : region.inputs) {
        const auto made = carried.find(input.original);
        bool given = false;
        for (const StepUpdate &update : updates) {
            if (update.tensor != input.original) continue;
            region.updates.push_back({sizeof(rz_update), 0, input.local, update.repeat, 0,
                                      update.bytes.size(), update.bytes.data()});
            given = true;
        }
        if (!given && made != carried.end())
            region.updates.push_back({sizeof(rz_update), 0, input.local, 0, 0,
                                      bytes_now(input, symbols), made->second.data()});
    }
    // A single region hands its outputs straight to the caller; otherwise all outputs are carried,
    // because a later region may need them.
    region.reads.clear();
    const bool single = placement.size() == 1;
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

Status Runner::State::run_region(size_t index, CompiledRegion &region,
                                 std::span<const int64_t> symbols,
                                 std::span<const StepUpdate> updates,
                                 std::span<const StepRead> reads, const StepRepeats &repeats) {
    gather(region, symbols, updates, reads);
    const auto local = [](const std::vector<RegionTensor> &list, TensorId original) {
        const auto found = std::ranges::find(list, original, &RegionTensor::original);
        return found == list.end() ? kNoTensor : found->local;
    };
    const rz_chain chain{sizeof(rz_chain), 0, local(region.outputs, repeats.from),
                         local(region.inputs, repeats.to)};
    const size_t device = placement[index].device;
    const rz_point signal{timelines[device].get(), ++reached[device]};
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
    RZ_TRY(queues[device].submit(submit));
    auto status = timelines[device].wait(signal.value, std::numeric_limits<uint64_t>::max());
    if (status.ok()) return status;
    // A failed timeline stays failed; the next step may fare better (memory, cancellation).
    RZ_ASSIGN(timelines[device], Timeline::create(options.devices[device], 0));
    reached[device] = 0;
    return status;
}

Status Runner::step(size_t variant, std::span<const int64_t> symbols,
                    std::span<const StepUpdate> updates, std::span<const StepRead> reads,
                    const StepRepeats &repeats) {
    Variant &chosen = state_->variants.at(variant);
    for (size_t i = 0; i < chosen.regions.size(); ++i)
        RZ_TRY(state_->run_region(i, chosen.regions[i], symbols, updates, reads, repeats));
    if (chosen.regions.size() == 1) return {};
    for (const StepRead &read : reads) {
        const auto &bytes = state_->carried.at(read.tensor);
        std::copy_n(bytes.begin(), std::min(bytes.size(), read.bytes.size()), read.bytes.begin());
    }
    return {};
}

uint32_t Runner::most_repeats() const {
    const DevicePtr &device = devices()[placement().front().device];
    return placement().size() == 1 && (device->info().caps & RZ_CAP_STEPS) ? RZ_MAX_STEPS : 1;
}

Result<size_t> Runner::extend(Graph graph) {
    State &state = *state_;
    if (state.placement.size() != 1)
        return make_error(Code::unsupported, "several_devices",
                          "expected a graph on one device, found it on %zu regions",
                          state.placement.size());
    const DevicePtr &device = state.options.devices[state.placement[0].device];
    RZ_ASSIGN(const std::vector<uint8_t> states, device->classify(graph.view()));
    const auto refused = std::ranges::find(states, uint8_t{RZ_NODE_NO});
    if (refused != states.end())
        return make_error(Code::unsupported, "not_on_device", "operator %s cannot run on %s",
                          op_name(graph.nodes()[static_cast<size_t>(refused - states.begin())].op),
                          device->label().c_str());
    std::vector<Graph::Region> parts;
    parts.push_back(graph.extract(0, graph.nodes().size()));
    Variant variant{std::move(graph), {}};
    RZ_TRY(state.compile(variant, parts));
    state.variants.push_back(std::move(variant));
    return state.variants.size() - 1;
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

const Graph &Runner::graph(size_t variant) const { return state_->variants.at(variant).graph; }
const std::vector<PlacedRegion> &Runner::placement() const { return state_->placement; }
const std::vector<DevicePtr> &Runner::devices() const { return state_->options.devices; }

std::vector<std::string> Runner::describe_placement() const {
    std::vector<std::string> lines;
    for (const PlacedRegion &region : state_->placement)
        lines.push_back(devices()[region.device]->label() + " nodes " +
                        std::to_string(region.begin) + "-" + std::to_string(region.end - 1) + ": " +
                        region.reason);
    return lines;
}

uint64_t Runner::weight_bytes() const {
    uint64_t total = 0;
    for (const LoadedWeights &loaded : state_->weights)
        total += loaded.plan.resident;
    return total;
}

uint64_t Runner::aliased_bytes() const {
    uint64_t total = 0;
    for (const LoadedWeights &loaded : state_->weights)
        total += loaded.plan.aliased;
    return total;
}

uint64_t Runner::state_bytes() const { return state_->state_bytes; }

} // namespace realizar
