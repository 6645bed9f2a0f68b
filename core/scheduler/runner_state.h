// Inside of the Runner: what it keeps, made ready in runner_prepare.cpp and used in runner.cpp.
#pragma once

#include "core/scheduler/runner.h"
#include "core/scheduler/weight_loader.h"

#include <map>
#include <optional>

namespace realizar {

// How a tensor of the whole graph appears inside one region.
struct RegionTensor {
    TensorId original;
    TensorId local;
    uint64_t fixed_bytes; // bytes, or bytes per row when the outermost dimension is a symbol
    uint32_t symbol;      // RZ_NONE when the size is fixed
};

// One region of one variant, compiled.
struct CompiledRegion {
    size_t device = 0;
    Program program;
    Instance instance;
    std::vector<RegionTensor> inputs, outputs;
    std::vector<size_t> needs;      // earlier regions whose outputs are inputs here
    bool submitted = false;         // in this step
    uint64_t signal = 0;            // of this step, on the timeline of the device
    std::vector<rz_update> updates; // reused by every step
    std::vector<rz_read> reads;
};

struct Variant {
    Placement placement;
    std::vector<CompiledRegion> regions;
};

// What runs on one device, in order.
struct Lane {
    Timeline timeline;
    Queue queue;
    uint64_t submitted = 0, done = 0; // last value to be signalled, last one that was awaited
};

// A step that has begun, as start() was given it.
struct RunningStep {
    Variant *variant = nullptr; // nullptr: there is none
    std::span<const int64_t> symbols;
    std::span<const StepUpdate> updates;
    std::span<const StepRead> reads;
    StepRepeats repeats;
    size_t left = 0; // regions that were not submitted yet
};

RegionTensor describe_tensor(const rz_tensor &tensor, TensorId original, TensorId local);

// Nodes [first, second) of the graphs.
using PlacedSpan = std::pair<size_t, size_t>;
using RefusedNode = std::optional<std::pair<size_t, size_t>>; // (device, node)

struct Runner::State {
    RunnerOptions options;
    Exclusions exclusions;
    Status broken;              // of every step, once there is no place left to run
    std::optional<size_t> lost; // device that the last step has lost
    // Members die from the bottom up, in the order that the ABI asks for.
    std::vector<Lane> lanes;           // by device; empty where nothing runs
    std::map<TensorId, Buffer> states; // by tensor of the whole graph
    std::map<std::pair<PlacedSpan, size_t>, LoadedWeights> weights; // by nodes and device
    std::map<TensorId, std::vector<std::byte>> carried; // values that pass between regions
    std::vector<Graph> graphs;                          // by variant
    size_t given = 0;                                   // variants that extend() did not add
    std::vector<Variant> variants;
    uint64_t state_bytes = 0;
    RunningStep running;

    // Places, loads and compiles all variants; again without a node that a device refuses, and
    // without a device that is lost meanwhile.
    Status prepare();
    Status place();
    // `at` is the device that an error comes from.
    Status try_prepare(RefusedNode &refused, size_t &at);
    Status open_lanes(size_t &at);
    Status load(std::span<const Placement> placements, size_t &at);
    Status compile(size_t variant, RefusedNode &refused, size_t &at);
    void leave(size_t device); // nothing of it stays, and nothing is placed there any more
    Result<CompiledRegion> compile_region(size_t variant, size_t index, uint32_t &failed_node);
    Status bind_states(CompiledRegion &region, const Graph::Region &part);

    void gather(CompiledRegion &region);
    Status submit(CompiledRegion &region);
    // Whether the device has come so far. With `wait` it has, or there is an error.
    Result<bool> reached(size_t device, uint64_t value, bool wait);
    // Submits what needs nothing that is not there; with `wait` at least one region.
    Status advance(bool wait);
    Status finish(Status status); // waits for all that was submitted, and ends the step
};

} // namespace realizar
