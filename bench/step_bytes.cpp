#include "bench/step_bytes.h"

#include "core/engine/engine.h"
#include "core/graph/layout.h"

#include <algorithm>
#include <set>

namespace realizar::bench {
namespace {

uint64_t size_of(const rz_tensor &tensor) { return tensor_span(tensor, tensor.dims[0]); }

} // namespace

StepBytes::StepBytes(const Engine &engine) {
    const Graph &graph = engine.runner().graph(0);
    std::set<uint32_t> counted; // storages that are read as a whole
    for (const rz_node &node : graph.nodes())
        for (uint32_t i = 0; i < node.input_count; ++i) {
            if (node.inputs[i] == kNoTensor) continue;
            const rz_tensor &w = graph.tensors()[node.inputs[i]];
            if (w.role != RZ_ROLE_WEIGHT) continue;
            const bool experts = node.op == RZ_OP_EXPERT_MATMUL && i == 0 && node.input_count > 2 &&
                                 node.inputs[2] != kNoTensor;
            const auto rows = static_cast<uint64_t>(std::max<int64_t>(w.dims[0], 1));
            if (node.op == RZ_OP_GET_ROWS && i == 0)
                each_ += size_of(w) / rows;
            else if (experts)
                stacks_.push_back({size_of(w) / rows, rows,
                                   static_cast<uint64_t>(graph.tensors()[node.inputs[2]].dims[1])});
            else if (counted.insert(w.storage).second)
                shared_ += size_of(graph.tensors()[w.storage]);
        }
    for (const SequencePart &part : engine.sequence_parts(0))
        (part.recurrent ? each_ : each_position_) += part.row_bytes;
}

uint64_t StepBytes::of(uint32_t sequences, uint32_t position) const {
    uint64_t bytes = shared_ + sequences * (each_ + each_position_ * (uint64_t{position} + 1));
    for (const Stack &stack : stacks_)
        bytes += stack.expert * std::min(stack.experts, stack.used * sequences);
    return bytes;
}

double StepBytes::mean_of(const Workload &work) const {
    double sum = 0;
    for (uint32_t i = 0; i < work.decode; ++i)
        sum += static_cast<double>(of(work.sequences, work.depth + i));
    return work.decode ? sum / work.decode : 0;
}

} // namespace realizar::bench
