// GET_ROWS, KV_WRITE, COPY, the rotation of Q4_0 caches: rows from one place and type to another.
#include "plugins/opencl/ops/op.h"

namespace realizar::opencl {

namespace {

void plan_write(Planner &planner, const View &cache, const View &x, const View &cells,
                const std::optional<Rotation> &rotation) {
    std::vector<View> touches = {cache, x, cells};
    if (rotation) touches.push_back(rotation->angles);
    planner.add({touches, [=](Recorder &r) {
                     const uint32_t tokens = cells.inner(r.symbols), inner = x.max_inner();
                     Rows rows = r.rows(x); // [T, H] as [T, 1, H]
                     rows.s0 = x.stride(1);
                     const KvWriteParams p = {rows,
                                              r.at(cells),
                                              r.at(cache),
                                              rotation ? r.at(rotation->angles) : 0,
                                              x.n2(),
                                              inner,
                                              tokens,
                                              cache.max_size(1),
                                              cache.stride(1),
                                              cache.stride(2),
                                              rotation ? rotation->pairs : 0,
                                              rotation && rotation->halves ? 1u : 0u,
                                              cache.dtype(),
                                              0};
                     const uint64_t total = uint64_t{tokens} * x.n2() * inner;
                     const std::initializer_list<cl_mem> buffers = {
                         r.buffer(x), r.buffer(cells), r.buffer(rotation ? rotation->angles : x),
                         r.buffer(cache)};
                     if (cache.dtype() == RZ_DTYPE_Q4_0) {
                         const uint32_t run = rotated_run(inner);
                         return r.launch("kv_write_rotated", "-DRUN=" + std::to_string(run), p,
                                         buffers, {groups_for(total / run, 64)});
                     }
                     const uint32_t piece = cache.dtype() == RZ_DTYPE_Q8_0 ? 32 : 1;
                     r.launch("kv_write", "", p, buffers, {groups_for(total / piece, 256)});
                 }});
}

} // namespace

void plan_get_rows(Planner &planner, const Node &node) {
    const Matrix table = planner.matrix(node.inputs[0]);
    const View ids = planner.view(node.inputs[1]), y = planner.view(node.outputs[0]);
    planner.add(
        {{table.is_packed ? table.packed : table.view, ids, y}, [=](Recorder &r) {
             const uint32_t tokens = ids.inner(r.symbols), inner = y.max_inner();
             const GetRowsParams p = {
                 table.planes(r), r.at(ids), r.at(y), inner, tokens, table.view.rows(r.symbols), 0};
             r.launch("get_rows", table.option(), p, {table.buffer(r), r.buffer(ids), r.buffer(y)},
                      {groups_for(uint64_t{tokens} * inner / (table.type ? 8 : 1), 256)});
         }});
}

void plan_kv_write(Planner &planner, const Node &node) {
    plan_write(planner, planner.view(node.inputs[0]), planner.view(node.inputs[1]),
               planner.view(node.inputs[2]), std::nullopt);
}

void plan_rope_write(Planner &planner, const Node &rope, const Node &write) {
    const Rotation rotation = plan_rotation(planner, rope);
    plan_write(planner, planner.view(write.inputs[0]), planner.view(rope.inputs[0]),
               planner.view(write.inputs[2]), rotation);
}

void launch_hadamard(Recorder &r, const View &x, const View &y) {
    const uint32_t inner = x.max_inner(), run = rotated_run(inner);
    const uint32_t runs = x.rows(r.symbols) * (inner / run);
    const HadamardParams p = {r.rows(x), r.at(y), x.n1(), x.n2(), inner, runs};
    r.launch("hadamard", "-DRUN=" + std::to_string(run), p, {r.buffer(x), r.buffer(y)},
             {groups_for(runs, 64)});
}

void plan_copy(Planner &planner, const Node &node) {
    const View x = planner.view(node.inputs[0]), y = planner.view(node.outputs[0]);
    planner.add({{x, y}, [=](Recorder &r) {
                     const uint32_t inner = x.inner(r.symbols), total = x.rows(r.symbols) * inner;
                     const CopyParams p = {r.rows(x), r.at(y), x.n1(),    x.n2(),
                                           inner,     total,   x.dtype(), y.dtype()};
                     r.launch("copy", "", p, {r.buffer(x), r.buffer(y)}, {groups_for(total, 256)});
                 }});
}

} // namespace realizar::opencl
