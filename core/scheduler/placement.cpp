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

// One graph on one device: which nodes it runs, nodes of one group all or none.
Status narrow(std::vector<uint8_t> &runs, const Graph &graph, const Device &device,
              const std::vector<size_t> &group) {
    RZ_ASSIGN(const std::vector<uint8_t> states, device.classify(graph.view()));
    for (size_t i = 0; i < runs.size(); ++i)
        if (states[i] != RZ_NODE_YES) runs[group[i]] = runs[i] = 0;
    return {};
}

} // namespace

Result<Support> find_support(std::span<const Graph> variants, const std::vector<DevicePtr> &devices,
                             const Exclusions &exclusions) {
    const size_t count = variants.front().nodes().size();
    Support support{{}, group_by_state(variants.front())};
    for (size_t d = 0; d < devices.size(); ++d) {
        std::vector<uint8_t> runs(count, !exclusions.lost.contains(d));
        for (const Graph &graph : variants)
            if (!exclusions.lost.contains(d))
                RZ_TRY(narrow(runs, graph, *devices[d], support.group));
        for (size_t i = 0; i < count; ++i)
            if (exclusions.refused.contains({d, i})) runs[support.group[i]] = runs[i] = 0;
        // The root of a group speaks for all: it is 0 where any member is.
        for (size_t i = 0; i < count; ++i)
            runs[i] = runs[support.group[i]];
        support.runs.push_back(std::move(runs));
    }
    return support;
}

Result<Placement> place_by_preference(const Graph &graph, const Support &support,
                                      const std::vector<DevicePtr> &devices, bool require_first) {
    Placement regions;
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
        const char *op = op_name(graph.nodes()[i].op);
        size_t chosen = 0;
        while (chosen < devices.size() && !support.runs[chosen][i])
            chosen = require_first ? devices.size() : chosen + 1;
        if (chosen == devices.size())
            return make_error(
                Code::unsupported, "not_on_device", "operator %s (node %zu) cannot run on %s%s", op,
                i, devices.empty() ? "any device" : devices[0]->label().c_str(),
                require_first ? ", and falling back was refused" : " nor on any fallback");
        if (!regions.empty() && regions.back().device == chosen) {
            regions.back().end = i + 1;
            continue;
        }
        regions.push_back({i, i + 1, chosen,
                           chosen == 0
                               ? std::string("runs here by preference")
                               : std::string(op) + " cannot run on " + devices[0]->label()});
    }
    return regions;
}

} // namespace realizar
