// Who makes and who takes the results of a region: what a backend asks before it fuses nodes.
#pragma once

#include "plugins/common/region.h"

#include <optional>

namespace realizar::plugin {

class Uses {
  public:
    explicit Uses(const Region &region);

    // The one node that reads the bytes of `tensor`, as this tensor or as a view of it, if it takes them
    // just once and they are no output of the region.
    std::optional<uint32_t> only_node(uint32_t tensor) const;
    // The same, if it takes this very tensor (not a view).
    std::optional<uint32_t> only_reader(uint32_t tensor) const;
    // Nodes between `from` and `to` (exclusive) leave what `from` reads as it is.
    bool may_move(uint32_t from, uint32_t to) const;
    const Region &region() const { return region_; }

  private:
    const Region &region_;
    std::vector<std::vector<uint32_t>> readers_; // by storage; a node once for each input
    std::vector<bool> outputs_;
};

// Calls add(tensor index) for each input that is there.
template <class F>
void for_inputs(const Region &region, const Node &node, F add) {
    for (size_t i = 0; i < node.inputs.size(); ++i)
        if (region.has_input(node, i)) add(node.inputs[i]);
}

} // namespace realizar::plugin
