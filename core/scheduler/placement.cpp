#include "core/scheduler/placement.h"

#include "core/graph/infer.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace realizar {
namespace {

// Nodes that share a STATE, directly or through other nodes, form one group (union-find).
std::vector<size_t> group_by_state(const Graph &graph) {
    std::vector<size_t> parent(graph.nodes().size());
    std::iota(parent.begin(), parent.end(), size_t{0});
    const auto root = [&](size_t i) {
        while (parent[i] != i)
            i = parent[i] = parent[parent[i]];
        return i;
    };
    std::map<TensorId, size_t> owner; // STATE storage -> a node that touches it
    for (size_t i = 0; i < parent.size(); ++i) {
        const rz_node &node = graph.nodes()[i];
        for (uint32_t k = 0; k < node.input_count; ++k) {
            if (node.inputs[k] == kNoTensor) continue;
            const TensorId storage = graph.tensors()[node.inputs[k]].storage;
            if (graph.tensors()[storage].role != RZ_ROLE_STATE) continue;
            const auto [entry, fresh] = owner.emplace(storage, i);
            if (!fresh) parent[root(i)] = root(entry->second);
        }
    }
    for (size_t i = 0; i < parent.size(); ++i)
        parent[i] = root(i);
    return parent;
}

} // namespace

Result<std::vector<PlacedRegion>> place(const Graph &graph, const std::vector<DevicePtr> &devices,
                                        bool require_first) {
    const rz_graph view = graph.view();
    const size_t count = graph.nodes().size();
    const std::vector<size_t> group = group_by_state(graph);

    std::vector<size_t> choice(count, devices.size());
    for (size_t d = 0; d < devices.size() && (d == 0 || !require_first); ++d) {
        RZ_ASSIGN(const std::vector<uint8_t> states, devices[d]->classify(view));
        std::vector<uint8_t> whole(count, 1); // by group root: can the device run the whole group?
        for (size_t i = 0; i < count; ++i)
            whole[group[i]] &= static_cast<uint8_t>(states[i] == RZ_NODE_YES);
        for (size_t i = 0; i < count; ++i)
            if (choice[i] == devices.size() && whole[group[i]]) choice[i] = d;
    }

    std::vector<PlacedRegion> regions;
    for (size_t i = 0; i < count; ++i) {
        const char *op = op_name(graph.nodes()[i].op);
        if (choice[i] == devices.size())
            return make_error(
                Code::unsupported, "not_on_device", "operator %s (node %zu) cannot run on %s%s", op,
                i, devices.empty() ? "any device" : devices[0]->label().c_str(),
                require_first ? ", and falling back was refused" : " nor on any fallback");
        if (!regions.empty() && regions.back().device == choice[i]) {
            regions.back().end = i + 1;
            continue;
        }
        regions.push_back({i, i + 1, choice[i],
                           choice[i] == 0
                               ? std::string("runs here by preference")
                               : std::string(op) + " cannot run on " + devices[0]->label()});
    }
    return regions;
}

} // namespace realizar
