// Which nodes run as one dispatch: the table of patterns, and the groups that it finds in a region.
#pragma once

#include "plugins/vulkan/plan/planner.h"

namespace realizar::vulkan {

// Nodes that one plan function takes, rising; they run at the place of the last one.
struct FusedGroup {
    std::vector<uint32_t> nodes;
    void (*plan)(Planner &planner, const FusedGroup &group);
};

// Every node of the region once, in groups by their last node. Without `fuse` each on its own. To add
// a pattern, write its match and plan functions and add a row to kFusions in fusion.cpp; rows are
// tried in order, each with a node as the first of the pattern.
std::vector<FusedGroup> find_groups(const Region &region, bool fuse);

} // namespace realizar::vulkan
