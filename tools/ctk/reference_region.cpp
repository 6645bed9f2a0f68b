#include "tools/ctk/reference_region.h"

#include "core/graph/layout.h"
#include "core/reference/execute.h"

#include <algorithm>
#include <cmath>

namespace realizar::ctk {

ReferenceRegion::ReferenceRegion(const Graph &graph, uint64_t seed)
    : graph_(graph), view_(graph.view()), random_(seed), truth_(graph.tensors().size()),
      sigma_(graph.tensors().size()) {
    if (graph.nodes().size() > 1) runs_.assign(kRuns, truth_);
}

Status ReferenceRegion::set_leaf(TensorId id, std::span<const int64_t> dims, const Bytes &bytes) {
    RZ_ASSIGN(truth_[id], ref_from_bytes(graph_.tensors()[id].dtype, dims, bytes));
    for (Values &run : runs_)
        run[id] = truth_[id];
    return {};
}

Status ReferenceRegion::set_constants(const Leaves &leaves) {
    for (TensorId id = 0; id < leaves.size(); ++id)
        if (owns(graph_, id, RZ_ROLE_WEIGHT) || owns(graph_, id, RZ_ROLE_STATE))
            RZ_TRY(set_leaf(id, largest_dims(graph_, graph_.tensors()[id]), leaves[id]));
    return {};
}

RefTensor ReferenceRegion::tensor(TensorId id, std::span<const int64_t> symbols,
                                  Values &values) const {
    const rz_tensor &facts = graph_.tensors()[id];
    return RefTensor(facts, symbols, {values[facts.storage].data.data(), nullptr});
}

void ReferenceRegion::execute(uint32_t node, std::span<const int64_t> symbols,
                              Values &values) const {
    rz_graph one = view_;
    one.nodes = &node_at(view_, node);
    one.node_count = 1;
    std::vector<RefStorage> storages(values.size());
    for (size_t i = 0; i < values.size(); ++i)
        storages[i].numbers = values[i].data.data();
    ref_execute(one, symbols, storages);
}

void ReferenceRegion::add_noise(uint32_t index, std::span<const int64_t> symbols,
                                RefValue &before) {
    const rz_node &node = graph_.nodes()[index];
    NoiseCall call{{node, {}, {}}, {}};
    for (uint32_t i = 0; i < node.input_count; ++i) {
        const uint32_t id = node.inputs[i];
        call.types.push_back(id == RZ_NONE ? RZ_DTYPE_F32 : graph_.tensors()[id].dtype);
        call.call.inputs.push_back(id == RZ_NONE ? std::nullopt
                                                 : std::optional(tensor(id, symbols, truth_)));
    }
    for (uint32_t i = 0; i < node.output_count; ++i)
        call.call.outputs.push_back(tensor(node.outputs[i], symbols, truth_));
    if (!before.data.empty()) {
        const TensorId state = node.inputs[0];
        call.state_sigma = sigma_[state];
        call.call.inputs[0] =
            RefTensor(graph_.tensors()[state], symbols, {before.data.data(), nullptr});
    }
    const NodeNoise noise = node_noise(call, random_);
    const std::vector<double> *const sigmas[] = {&noise.first, &noise.second};
    for (uint32_t o = 0; o < node.output_count && o < std::size(sigmas); ++o) {
        const std::vector<double> &sigma = *sigmas[o];
        const TensorId out = node.outputs[o];
        for (Values &run : runs_)
            for (size_t i = 0; i < sigma.size(); ++i)
                run[out].data[i] += sigma[i] * random_.normal();
        if (single()) sigma_[out] = sigma;
    }
}

Status ReferenceRegion::run(std::span<const int64_t> symbols, const Leaves &leaves) {
    RZ_TRY(ref_check_symbols(view_, symbols));
    for (TensorId id = 0; id < leaves.size(); ++id)
        if (owns(graph_, id, RZ_ROLE_INPUT))
            RZ_TRY(set_leaf(id, resolved_dims(graph_.tensors()[id], symbols), leaves[id]));
    ref_resize_temps(view_, symbols, truth_);
    for (Values &run : runs_)
        ref_resize_temps(view_, symbols, run);
    for (uint32_t node = 0; node < view_.node_count; ++node) {
        // Recurrent operators change their state: the model of rounding starts from what it was.
        RefValue before;
        const uint32_t op = graph_.nodes()[node].op;
        if (op == RZ_OP_SSM_CONV || op == RZ_OP_SSM_SCAN)
            before = truth_[graph_.tensors()[graph_.nodes()[node].inputs[0]].storage];
        execute(node, symbols, truth_);
        for (Values &run : runs_)
            execute(node, symbols, run);
        add_noise(node, symbols, before);
    }
    return {};
}

std::vector<double> ReferenceRegion::limits(TensorId id) const {
    const std::vector<double> &value = truth_[id].data;
    std::vector<double> limit(value.size(), 0.0);
    if (single()) {
        for (size_t i = 0; i < sigma_[id].size(); ++i)
            limit[i] = kSigmas * sigma_[id][i];
    } else {
        const auto width = static_cast<size_t>(truth_[id].dims.back());
        for (size_t begin = 0; begin < value.size(); begin += width) {
            double pooled = 0;
            for (size_t i = begin; i < begin + width; ++i) {
                for (const Values &run : runs_)
                    limit[i] += (run[id].data[i] - value[i]) * (run[id].data[i] - value[i]) / kRuns;
                pooled += limit[i] / static_cast<double>(width);
            }
            for (size_t i = begin; i < begin + width; ++i)
                limit[i] = kSigmasOfSpread * std::sqrt(std::max(limit[i], pooled));
        }
    }
    // Two correct roundings to a narrow type may fall to both sides of a boundary.
    const rz_dtype dtype = graph_.tensors()[id].dtype;
    if (!single() || dtype == RZ_DTYPE_Q8_0 || dtype == RZ_DTYPE_Q4_0) {
        const std::vector<double> steps = rounding_steps(dtype, value);
        for (size_t i = 0; i < limit.size(); ++i)
            limit[i] += steps[i];
    }
    return limit;
}

} // namespace realizar::ctk
