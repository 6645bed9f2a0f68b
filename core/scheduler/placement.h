// Which device runs which part of a graph.
#pragma once

#include "core/graph/graph.h"
#include "core/plugin/device.h"

#include <string>
#include <vector>

namespace realizar {

// A run of nodes [begin, end) of the graph on one device.
struct PlacedRegion {
    size_t begin = 0, end = 0;
    size_t device = 0;  // index into the list given to place()
    std::string reason; // one clause, for --verbose
};

// Places every node on the first device of the list that can run it, except that all nodes which
// touch one STATE go to the first device that can run all of them. With `require_first` anything that
// devices[0] cannot run is an error (tag not_on_device, naming the operator) instead of a fallback.
Result<std::vector<PlacedRegion>> place(const Graph &graph, const std::vector<DevicePtr> &devices,
                                        bool require_first);

} // namespace realizar
