// Measuring what parts of a model take on a device: through the same loading, compiling and submitting
// as when the model runs, in host time from the submission to the end of the wait.
#pragma once

#include "core/scheduler/atoms.h"
#include "core/scheduler/cost_store.h"
#include "core/scheduler/runner.h"

#include <chrono>
#include <functional>

namespace realizar {

// A step as it is expected, to plan and measure by.
struct StepSample {
    std::string name;   // for reports, e.g. "decode at 256"
    size_t variant = 0; // of the graphs
    std::vector<int64_t> symbols;
    std::vector<std::pair<TensorId, std::vector<std::byte>>> inputs; // all of the graph
    double weight = 1; // how many such steps the plan is for
};

struct MeasureOptions {
    std::span<const Graph> variants;
    std::span<const StepSample> samples;
    std::function<Result<WeightBytes>(uint64_t key)> weights; // as RunnerOptions has them
    std::function<void(std::span<const std::byte>)> release;
    std::chrono::steady_clock::time_point deadline; // nothing is begun behind it
    // Other devices that the store knows. One that takes kHopeless times as long as one of them, for what
    // both have measured, is not measured further.
    std::vector<std::string> rivals;
    // Called between measurements; false cancels.
    std::function<bool()> go_on;
};

inline constexpr double kHopeless = 8;

std::string bucket_of(const StepSample &sample);
// What is known of an atom: in company, or else alone. nullptr: nothing.
const Cost *find_cost(const CostStore &store, const std::string &identity, const Atom &atom,
                      const StepSample &sample);

// What the store lacks for these atoms on this device, for all samples, is measured and put there.
// Small parts are measured alone; what they take in the company that they will have, where caches are
// cold and neighbours fuse, is found by measuring long runs of atoms, and the parts share that. What
// the device refuses or has no memory for is left out, and so is what the deadline did not allow: then
// the result is false, and a later call goes on with that.
// Tag cancelled.
Result<bool> measure_atoms(const DevicePtr &device, const std::string &identity,
                           std::span<const Atom> atoms, const MeasureOptions &options,
                           CostStore &store);

// core/scheduler/link_measure.cpp. With a graph of one operator that the device can run. Code::unsupported if it can run none.
Result<LinkCost> measure_link(const DevicePtr &device);

} // namespace realizar
