// Runs the steps of a model over the devices that a placement chose.
//
// A Runner owns the weights, states and compiled programs. Variants are graphs of the same nodes and
// tensors that differ only in the bounds of their symbols (a single token, a prompt batch); they
// share states, and weights where they run on one device. Not thread-safe: one step at a time.
#pragma once

#include "core/scheduler/placement.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace realizar {

struct WeightBytes {
    // Canonical layout, in parts of whole rows; stays mapped while the Runner lives.
    std::vector<std::span<const std::byte>> parts;
    DType dtype; // as stored; decoded to the graph's type where they differ
};

// Places all variants: regions of equal bounds in each, whose devices may differ between variants;
// nodes that touch a STATE are on one device in all of them. Called again after a device has refused
// a node or was lost.
using PlaceFunction =
    std::function<Result<std::vector<Placement>>(std::span<const Graph>, const Exclusions &)>;

struct RunnerOptions {
    std::vector<DevicePtr> devices; // in order of preference
    bool require_first = false;
    // Bytes of weights and states that a device may hold, by device; 0 or absent: what it says is free.
    std::vector<uint64_t> memory;
    PlaceFunction place; // empty: by preference
    // Kept, as are `release` and `place`: weights are loaded again where a device is lost.
    std::function<Result<WeightBytes>(uint64_t key)> weights;
    // Called after each piece with bytes so far and in all. Returning false cancels the load. Not kept.
    std::function<bool(uint64_t done, uint64_t total)> progress;
    // Called once the bytes of a weight were copied and will not be read again.
    std::function<void(std::span<const std::byte>)> release;
};

// `repeat`: of a step that runs several times (StepRepeats), which time this is for.
struct StepUpdate {
    TensorId tensor; // an INPUT of the graph
    std::span<const std::byte> bytes;
    uint32_t repeat = 0;
};

struct StepRead {
    TensorId tensor; // an output of the graph
    std::span<std::byte> bytes;
    uint32_t repeat = 0;
};

// A step that runs several times in one submission: each time with updates of its own, and with `to`
// (an INPUT) holding what `from` (an output) held the time before.
struct StepRepeats {
    uint32_t times = 1;
    TensorId from = kNoTensor, to = kNoTensor;
};

class Runner {
  public:
    static Result<std::unique_ptr<Runner>> create(std::vector<Graph> variants,
                                                  const RunnerOptions &options);
    ~Runner();

    // One step: start() and wait().
    Status step(size_t variant, std::span<const int64_t> symbols,
                std::span<const StepUpdate> updates, std::span<const StepRead> reads,
                const StepRepeats &repeats = {});
    // Begins a step and submits what needs no other region's results. Symbol values are within the
    // variant's bounds; all that is given stays as it is until the step has ended. Nothing is
    // allocated after the first step of a variant. Regions that need nothing of each other run at the
    // same time on different devices. A step that has begun is ended by poll() or wait() before the next.
    Status start(size_t variant, std::span<const int64_t> symbols,
                 std::span<const StepUpdate> updates, std::span<const StepRead> reads,
                 const StepRepeats &repeats = {});
    // Submits what can go on now, without waiting. True: the step has ended, and its reads are there.
    // An error has ended it too; after Code::device_lost see replace_lost().
    Result<bool> poll();
    // Ends the step, if there is one.
    Status wait();
    // How often a step may run in one submission.
    uint32_t most_repeats() const;

    // A further variant: the graph of variant 0 with more nodes behind it, which run where its last ones
    // do. Returns its number. Code::unsupported if that device cannot run them, or if the graph is
    // spread over several devices.
    Result<size_t> extend(Graph graph);

    // After a step that has ended with Code::device_lost: moves what ran on that device to others and
    // clears all states; variants that extend() has added are gone. Fails, and every step from then
    // on, where there is no other place; with require_first always. Returns a sentence about what was
    // moved.
    Result<std::string> replace_lost();

    // STATE tensors of the graphs, rising, and their bytes in canonical layout. Between steps only.
    std::vector<TensorId> states() const;
    Status read_state(TensorId state, uint64_t offset, std::span<std::byte> bytes) const;
    Status write_state(TensorId state, uint64_t offset, std::span<const std::byte> bytes);

    const Graph &graph(size_t variant) const;
    const Placement &placement(size_t variant = 0) const;
    const std::vector<DevicePtr> &devices() const;
    // "cpu:0 nodes 0-143" per region, with the reason.
    std::vector<std::string> describe_placement() const;
    uint64_t weight_bytes() const;  // new memory for weights, all devices
    uint64_t aliased_bytes() const; // weights that are read in place
    uint64_t state_bytes() const;

  private:
    Runner();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace realizar
