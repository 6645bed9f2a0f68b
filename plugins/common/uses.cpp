#include "plugins/common/uses.h"

#include <algorithm>

namespace realizar::plugin {

Uses::Uses(const Region &region)
    : region_(region), readers_(region.tensors.size()), outputs_(region.tensors.size()) {
    for (uint32_t i = 0; i < region.nodes.size(); ++i)
        for_inputs(region, region.nodes[i],
                   [&](uint32_t tensor) { readers_[region.tensors[tensor].storage].push_back(i); });
    for (const uint32_t tensor : region.outputs)
        outputs_[tensor] = outputs_[region.tensors[tensor].storage] = true;
}

std::optional<uint32_t> Uses::only_node(uint32_t tensor) const {
    const Tensor &t = region_.tensors[tensor];
    if (t.role != RZ_ROLE_TEMP || t.is_view(tensor) || outputs_[tensor]) return std::nullopt;
    const auto &readers = readers_[tensor];
    return readers.size() == 1 ? std::optional(readers[0]) : std::nullopt;
}

std::optional<uint32_t> Uses::only_reader(uint32_t tensor) const {
    const auto reader = only_node(tensor);
    if (!reader) return std::nullopt;
    const auto &inputs = region_.nodes[*reader].inputs;
    const bool itself = std::find(inputs.begin(), inputs.end(), tensor) != inputs.end();
    return itself ? reader : std::nullopt;
}

bool Uses::may_move(uint32_t from, uint32_t to) const {
    bool same = true;
    for_inputs(region_, region_.nodes[from], [&](uint32_t input) {
        const uint32_t storage = region_.tensors[input].storage;
        for (uint32_t i = from + 1; i < to; ++i)
            for (const uint32_t output : region_.nodes[i].outputs)
                same = same && region_.tensors[output].storage != storage;
    });
    return same;
}

} // namespace realizar::plugin
