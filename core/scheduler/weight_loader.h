// Streams the weights of a region into a device.
#pragma once

#include "core/scheduler/runner.h"

namespace realizar {

struct LoadedWeights {
    Weights weights;
    rz_weights_plan plan{};
};

// Bytes of progress that loading this graph's weights will report.
uint64_t weight_source_bytes(const Graph &graph);

// Loads tensor by tensor in pieces of some MiB. `done` and `total` are
// the progress over all regions.
Result<LoadedWeights> load_weights(const DevicePtr &device, const Graph &graph,
                                   const RunnerOptions &options, uint64_t &done, uint64_t total);

} // namespace realizar
