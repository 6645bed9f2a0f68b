// Streams the weights of a region into a device.
#pragma once

#include "core/scheduler/runner.h"

#include <optional>

namespace realizar {

struct LoadedWeights {
    Weights weights;
    rz_weights_plan plan{};
};

// Bytes of progress that loading this graph's weights will report.
uint64_t weight_source_bytes(const Graph &graph);

// Loads tensor by tensor in pieces of some MiB. `done` and `total` are
// the progress over all regions. `spare`: bytes that the device may hold beside what it must, such as
// copies for another kernel; nothing: there is no limit.
Result<LoadedWeights> load_weights(const DevicePtr &device, const Graph &graph,
                                   const RunnerOptions &options, std::optional<uint64_t> spare,
                                   uint64_t &done, uint64_t total);

} // namespace realizar
