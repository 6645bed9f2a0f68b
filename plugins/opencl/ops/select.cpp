// ARGMAX and TOP_K.
#include "plugins/opencl/ops/op.h"

namespace realizar::opencl {

void plan_select(Planner &planner, const Node &node) {
    // One pass over the row for each of the k best up to here; above, all places at once.
    constexpr uint32_t kRounds = 64;
    const bool top = node.op == RZ_OP_TOP_K;
    const uint32_t k = top ? attributes_of<rz_attr_top_k>(node).k : 1;
    const View x = planner.view(node.inputs[0]), indices = planner.view(node.outputs[top ? 1 : 0]);
    const View values = top ? planner.view(node.outputs[0]) : indices;
    planner.add(
        {{x, values, indices}, [=](Recorder &r) {
             const uint32_t rows = x.rows(r.symbols), inner = x.max_inner();
             const SelectParams p = {
                 r.at(x), top ? r.at(values) : kNone, r.at(indices), x.stride(2), inner, rows, k};
             const std::initializer_list<cl_mem> buffers = {r.buffer(x), r.buffer(values),
                                                            r.buffer(indices)};
             if (k <= kRounds)
                 r.launch("select_best", "", p, buffers, {groups_for(rows, 1)});
             else
                 r.launch("top_k_rank", "", p, buffers,
                          {groups_for(inner, 256), groups_for(rows, 1)});
         }});
}

} // namespace realizar::opencl
