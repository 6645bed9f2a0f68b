// Which nodes run as one dispatch: the table of patterns, and the groups that it finds in a region.
#pragma once

#include "plugins/vulkan/plan/planner.h"

#include <optional>

namespace realizar::vulkan {

// Who makes and who takes the results of a region.
class Uses {
  public:
    explicit Uses(const Region &region);

    // The one node that reads `tensor`, if it is the only reader of those bytes, takes them as this
    // very tensor (not a view), and they are no output of the region.
    std::optional<uint32_t> only_reader(uint32_t tensor) const;
    // The one node that reads the bytes of `tensor`, as this tensor or as a view of it, if there is
    // just one and they are no output of the region.
    std::optional<uint32_t> only_node(uint32_t tensor) const;
    // Nodes between `from` and `to` (exclusive) leave what `from` reads as it is.
    bool may_move(uint32_t from, uint32_t to) const;
    const Region &region() const { return region_; }

  private:
    const Region &region_;
    std::vector<std::vector<uint32_t>> readers_; // by storage
    std::vector<bool> outputs_;
};

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
