// Making a Runner ready: placement, weights, states, programs; and doing so again without a device.
#include "core/graph/infer.h"
#include "core/scheduler/memory_need.h"
#include "core/scheduler/runner_state.h"

#include <algorithm>
#include <set>

namespace realizar {

RegionTensor describe_tensor(const rz_tensor &tensor, TensorId original, TensorId local) {
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

Status Runner::State::place() {
    std::vector<Placement> placements;
    if (options.place) {
        RZ_ASSIGN(placements, options.place(graphs, exclusions));
    } else {
        RZ_ASSIGN(const Support support, find_support(graphs, options.devices, exclusions));
        RZ_ASSIGN(
            const Placement placement,
            place_by_preference(graphs.front(), support, options.devices, options.require_first));
        placements.assign(graphs.size(), placement);
    }
    for (size_t i = 0; i < variants.size(); ++i)
        variants[i].placement = std::move(placements.at(i));
    return {};
}

Status Runner::State::prepare() {
    // Each refusal takes a node away from a device, and each loss a device, so this ends.
    while (true) {
        RZ_TRY(place());
        RefusedNode refused;
        size_t at = 0;
        auto status = try_prepare(refused, at);
        if (status.ok() || options.require_first) return status;
        if (status.error().code == Code::device_lost) {
            if (exclusions.lost.contains(at)) return status;
            leave(at);
        } else if (!refused || !exclusions.refused.insert(*refused).second) {
            return status;
        }
    }
}

void Runner::State::leave(size_t device) {
    exclusions.lost.insert(device);
    for (Variant &variant : variants)
        variant.regions.clear();
    states.clear();
    std::erase_if(weights, [&](const auto &entry) { return entry.first.second == device; });
    lanes[device] = {};
}

Status Runner::State::try_prepare(RefusedNode &refused, size_t &device) {
    for (Variant &variant : variants)
        variant.regions.clear();
    carried.clear();
    states.clear();
    state_bytes = 0;
    RZ_TRY(open_lanes(device));
    std::vector<Placement> placements;
    for (const Variant &variant : variants)
        placements.push_back(variant.placement);
    RZ_TRY(check_memory(graphs, placements, options.devices, options.memory));
    RZ_TRY(load(placements, device));
    for (size_t v = 0; v < variants.size(); ++v)
        RZ_TRY(compile(v, refused, device));
    return {};
}

Status Runner::State::open_lanes(size_t &at) {
    lanes.resize(options.devices.size());
    for (const Variant &variant : variants)
        for (const PlacedRegion &region : variant.placement) {
            Lane &lane = lanes[region.device];
            if (lane.queue) continue;
            at = region.device;
            const DevicePtr &device = options.devices[region.device];
            RZ_ASSIGN(lane.timeline, Timeline::create(device, 0));
            RZ_ASSIGN(lane.queue, Queue::create(device));
        }
    return {};
}

Status Runner::State::load(std::span<const Placement> placements, size_t &at) {
    std::map<std::pair<PlacedSpan, size_t>, Graph> wanted;
    for (size_t v = 0; v < variants.size(); ++v)
        for (const PlacedRegion &region : variants[v].placement) {
            const std::pair key{PlacedSpan{region.begin, region.end}, region.device};
            if (!wanted.contains(key))
                wanted.emplace(key, graphs[v].extract(region.begin, region.end).graph);
        }
    std::erase_if(weights, [&](const auto &entry) { return !wanted.contains(entry.first); });
    uint64_t total = 0, done = 0;
    std::erase_if(wanted, [&](const auto &entry) { return weights.contains(entry.first); });
    for (const auto &[key, graph] : wanted)
        total += weight_source_bytes(graph);
    RZ_ASSIGN(const auto spare, spare_memory(graphs, placements, options.devices, options.memory));
    for (const auto &[key, graph] : wanted) {
        at = key.second;
        RZ_ASSIGN(LoadedWeights loaded, load_weights(options.devices[key.second], graph, options,
                                                     spare[key.second], done, total));
        weights.emplace(key, std::move(loaded));
    }
    return {};
}

Status Runner::State::compile(size_t v, RefusedNode &refused, size_t &at) {
    Variant &variant = variants[v];
    for (size_t i = 0; i < variant.placement.size(); ++i) {
        const PlacedRegion &place = variant.placement[i];
        uint32_t node = RZ_NONE;
        at = place.device;
        auto region = compile_region(v, i, node);
        if (!region.ok()) {
            // A device that refuses what it claimed is asked for that node no more.
            const bool known = node < place.end - place.begin;
            if (region.error().code == Code::unsupported)
                refused = {place.device, place.begin + (known ? node : 0)};
            return std::move(region).error();
        }
        variant.regions.push_back(std::move(region).value());
    }
    return {};
}

Result<CompiledRegion> Runner::State::compile_region(size_t v, size_t index,
                                                     uint32_t &failed_node) {
    const Variant &variant = variants[v];
    const PlacedRegion &place = variant.placement[index];
    const DevicePtr &device = options.devices[place.device];
    const Graph::Region part = graphs[v].extract(place.begin, place.end);
    CompiledRegion region;
    region.device = place.device;
    rz_compile_options compile_options{};
    compile_options.struct_size = sizeof compile_options;
    // A variant with more nodes behind the last ones has the weights of those.
    const PlacedRegion &first = variants.front().placement[index];
    const PlacedSpan span{place.begin, v < given ? place.end : first.end};
    const Weights &loaded = weights.at({span, place.device}).weights;
    RZ_ASSIGN(region.program,
              Program::compile(device, part.graph.view(), &loaded, compile_options, &failed_node));
    RZ_ASSIGN(region.instance, Instance::create(region.program));
    RZ_TRY(bind_states(region, part));

    for (TensorId local = 0; local < part.original.size(); ++local) {
        const rz_tensor &tensor = part.graph.tensors()[local];
        if (tensor.role != RZ_ROLE_INPUT || tensor.storage != local) continue;
        const TensorId original = part.original[local];
        region.inputs.push_back(describe_tensor(tensor, original, local));
        for (size_t earlier = 0; earlier < index; ++earlier) {
            const CompiledRegion &other = variant.regions[earlier];
            const bool makes = std::ranges::find(other.outputs, original,
                                                 &RegionTensor::original) != other.outputs.end();
            if (makes && std::ranges::find(region.needs, earlier) == region.needs.end())
                region.needs.push_back(earlier);
        }
    }
    for (const TensorId local : part.graph.outputs()) {
        const RegionTensor output =
            describe_tensor(part.graph.tensors()[local], part.original[local], local);
        region.outputs.push_back(output);
        if (variant.placement.size() == 1) continue; // the caller's memory takes it
        const auto symbols = graphs[v].symbols();
        const int64_t rows = output.symbol == RZ_NONE ? 1 : symbols[output.symbol].max;
        auto &bytes = carried[output.original];
        bytes.resize(std::max(bytes.size(), output.fixed_bytes * static_cast<uint64_t>(rows)));
    }
    region.updates.reserve(region.inputs.size());
    region.reads.reserve(region.outputs.size());
    return region;
}

Status Runner::State::bind_states(CompiledRegion &region, const Graph::Region &part) {
    const DevicePtr &device = options.devices[region.device];
    std::vector<rz_binding> bindings;
    for (TensorId local = 0; local < part.original.size(); ++local) {
        const rz_tensor &tensor = part.graph.tensors()[local];
        if (tensor.role != RZ_ROLE_STATE || tensor.storage != local) continue;
        const TensorId original = part.original[local];
        auto found = states.find(original);
        if (found == states.end()) {
            const uint64_t size = describe_tensor(tensor, original, local).fixed_bytes;
            RZ_ASSIGN(Buffer buffer, Buffer::create(device, size));
            found = states.emplace(original, std::move(buffer)).first;
            state_bytes += size;
        }
        if (found->second.device() != device)
            return make_error(Code::internal, "state_moved",
                              "state %u: expected one device in all variants, found %s and %s",
                              original, found->second.device()->label().c_str(),
                              device->label().c_str());
        bindings.push_back({sizeof(rz_binding), 0, local, 0, found->second.get(), 0});
    }
    return bindings.empty() ? Status{} : region.instance.bind(bindings);
}

Result<size_t> Runner::extend(Graph graph) {
    State &state = *state_;
    const size_t number = state.graphs.size();
    const Placement &first = placement();
    if (first.size() != 1)
        return make_error(Code::unsupported, "several_devices",
                          "expected a graph on one device, found it on %zu regions", first.size());
    const size_t device = first.front().device;
    RZ_ASSIGN(const std::vector<uint8_t> states, devices()[device]->classify(graph.view()));
    const auto refused = std::ranges::find(states, uint8_t{RZ_NODE_NO});
    if (refused != states.end())
        return make_error(Code::unsupported, "not_on_device", "operator %s cannot run on %s",
                          op_name(graph.nodes()[static_cast<size_t>(refused - states.begin())].op),
                          devices()[device]->label().c_str());
    const PlacedSpan span{0, graph.nodes().size()};
    state.graphs.push_back(std::move(graph));
    state.variants.push_back({{{span.first, span.second, device, first.front().reason}}, {}});
    // The same weights: they are those of the nodes that both have.
    RefusedNode node;
    size_t at = device;
    auto status = state.compile(number, node, at);
    if (status.ok()) return number;
    state.variants.pop_back();
    state.graphs.pop_back();
    return std::move(status).error();
}

Result<std::string> Runner::replace_lost() {
    State &state = *state_;
    RZ_TRY(state.broken);
    if (!state.lost)
        return make_error(Code::invalid_argument, "no_device_lost",
                          "expected a step that lost its device before");
    const size_t device = *state.lost;
    state.lost.reset();
    const std::set<size_t> before = state.exclusions.lost;
    state.variants.resize(state.given);
    state.graphs.erase(state.graphs.begin() + static_cast<ptrdiff_t>(state.given),
                       state.graphs.end());
    state.leave(device);
    auto status = state.options.require_first
                      ? Status(make_error(Code::device_lost, "backend_device_lost",
                                          "%s was lost, and falling back was refused",
                                          devices()[device]->label().c_str()))
                      : state.prepare();
    if (!status.ok()) {
        state.broken = status;
        return std::move(status).error();
    }
    std::string text;
    for (const size_t gone : state.exclusions.lost)
        if (!before.contains(gone)) text += devices()[gone]->label() + " was lost; ";
    std::set<std::string> places;
    for (const PlacedRegion &region : placement())
        places.insert(devices()[region.device]->label());
    text += "the model goes on with";
    for (const std::string &place : places)
        text += " " + place;
    return text;
}

} // namespace realizar
