// Which device runs which part of a graph.
#pragma once

#include "core/graph/graph.h"
#include "core/plugin/device.h"

#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace realizar {

// A run of nodes [begin, end) of the graph on one device.
struct PlacedRegion {
    size_t begin = 0, end = 0;
    size_t device = 0;  // index into the list of devices
    std::string reason; // one clause, for --verbose
};
using Placement = std::vector<PlacedRegion>; // all nodes, in order

// What was learned since the devices were chosen.
struct Exclusions {
    std::set<size_t> lost;                       // devices
    std::set<std::pair<size_t, size_t>> refused; // (device, node): it claimed the node in vain
};

// What each device can run.
struct Support {
    // By device and node: not 0 where the device can run the node and all others that touch the same
    // STATE, directly or through other nodes: those stay together.
    std::vector<std::vector<uint8_t>> runs;
    std::vector<size_t> group; // by node: equal for nodes that stay together
};

// Asks the devices about all variants of a step (graphs of the same nodes).
Result<Support> find_support(std::span<const Graph> variants, const std::vector<DevicePtr> &devices,
                             const Exclusions &exclusions);

// Places every node on the first device of the list that can run it. With `require_first` anything
// that devices[0] cannot run is an error (tag not_on_device, naming the operator) instead of a
// fallback.
Result<Placement> place_by_preference(const Graph &graph, const Support &support,
                                      const std::vector<DevicePtr> &devices, bool require_first);

} // namespace realizar
