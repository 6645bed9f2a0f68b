// Which nodes run as one step: the table of patterns, and the groups that it finds in a region.
#pragma once

#include "plugins/opencl/plan/planner.h"

namespace realizar::opencl {

// Nodes that one plan function takes, rising.
struct FusedGroup {
    std::vector<uint32_t> nodes;
    void (*plan)(Planner &planner, const FusedGroup &group);
    bool early = false; // runs at the place of the first node, not of the last
};

// Every node of the region once, in the order in which they run. Without `fuse` each on its own. To add
// a pattern, write its match and plan functions and add a row to kFusions in fusion.cpp; rows are
// tried in order, each with a node as the first of the pattern.
std::vector<FusedGroup> find_groups(const Region &region, bool fuse);

} // namespace realizar::opencl
