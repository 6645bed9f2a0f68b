// MATMUL, alone, with an addend, or several of one x.
#include "plugins/opencl/ops/op.h"

#include <algorithm>

namespace realizar::opencl {

namespace {

struct Operands {
    Matrix w;
    std::optional<View> add;
    uint32_t add_stride = 0; // between rows; 0: a vector for all
    View y;
};

// Columns that a kernel of the matvec forms is built for.
std::string columns_option(uint32_t rows) {
    return " -DCOLUMNS=" + std::to_string(rows == 1 ? 1 : rows <= 4 ? 4 : 8);
}

constexpr uint32_t kTeams = 4; // of matvec*.cl

void launch_matvec(Recorder &r, const std::vector<Operands> &parts, uint32_t rows,
                   const Quantised &q) {
    const uint64_t at = r.at(q.memory);
    MatvecQuantParams p = {parts[0].w.planes(r), {}, at, at + q.scales, 0, rows};
    cl_mem y[kJoinedMatrices], add[kJoinedMatrices];
    for (size_t i = 0; i < kJoinedMatrices; ++i) {
        const Operands &o = parts[std::min(i, parts.size() - 1)];
        if (i < parts.size()) p.n += o.y.max_inner();
        p.segment[i] = {r.at(o.y), o.add ? r.at(*o.add) : kNone, p.n, o.add_stride};
        y[i] = r.buffer(o.y);
        add[i] = r.buffer(o.add.value_or(o.y));
    }
    // One row and one group at a time won on an H200: what counts is how many threads are in flight.
    const Tuning &tuning = r.tuning();
    const uint32_t rows_of_team = std::max(tuning.matvec_rows, 1u);
    const uint32_t batch = rows == 1 ? std::max(tuning.matvec_batch, 1u) : 1;
    r.launch("matvec",
             parts[0].w.option() + columns_option(rows) +
                 " -DROWS=" + std::to_string(rows_of_team) + " -DBATCH=" + std::to_string(batch),
             p,
             {parts[0].w.buffer(r), r.buffer(q.memory), y[0], y[1], y[2], add[0], add[1], add[2]},
             {groups_for(p.n, kTeams * rows_of_team)});
}

// Whether w lies as matmul_mma.cl reads it.
bool fits_mma(const Recorder &r, const Operands &o) {
    if (o.w.type) return true;
    return o.w.view.dtype() == RZ_DTYPE_F16 && o.w.view.stride(2) % 8 == 0 &&
           r.at(o.w.view) % 16 == 0;
}

void launch_mma(Recorder &r, const Operands &o, uint32_t rows, const HalfRows &x) {
    constexpr uint32_t kTile = 128;
    const uint32_t n = o.y.max_inner();
    const uint64_t at = r.at(x.memory);
    const MatmulMmaParams p = {
        o.w.planes(r),        at, at + x.scales, r.at(o.y),   o.add ? r.at(*o.add) : kNone,
        o.w.view.max_inner(), n,  rows,          o.add_stride};
    r.launch("matmul_mma", o.w.option(), p,
             {o.w.buffer(r), r.buffer(x.memory), r.buffer(o.y), r.buffer(o.add.value_or(o.y))},
             {(rows + kTile - 1) / kTile, (n + kTile - 1) / kTile});
}

void launch_floats(Recorder &r, const Operands &o, const View &x) {
    constexpr uint32_t kTile = 64; // of matmul_tile.cl
    const uint32_t rows = x.rows(r.symbols), n = o.y.max_inner();
    const MatmulParams p = {o.w.planes(r), r.rows(x),   r.at(o.y), o.add ? r.at(*o.add) : kNone,
                            x.max_inner(), n,           x.n1(),    x.n2(),
                            rows,          o.add_stride};
    const std::initializer_list<cl_mem> buffers = {o.w.buffer(r), r.buffer(x), r.buffer(o.y),
                                                   r.buffer(o.add.value_or(o.y))};
    if (rows <= kMatvecRows && !o.w.type)
        r.launch("matvec_plain", o.w.option() + columns_option(rows), p, buffers,
                 {groups_for(n, kTeams)});
    else
        r.launch("matmul_tile", o.w.option(), p, buffers,
                 {(n + kTile - 1) / kTile, groups_for(rows, kTile)});
}

void add_step(Planner &planner, const std::vector<Operands> &parts, const View &x,
              const std::optional<Quantised> &q, const std::optional<HalfRows> &half) {
    std::vector<View> touches = {x};
    if (q) touches.push_back(q->memory);
    if (half) touches.push_back(half->memory);
    for (const Operands &o : parts) {
        touches.push_back(o.w.is_packed ? o.w.packed : o.w.view);
        if (o.add) touches.push_back(*o.add);
        touches.push_back(o.y);
    }
    planner.add({touches, [=](Recorder &r) {
                     const uint32_t rows = x.rows(r.symbols);
                     if (rows == 0) return;
                     if (q && rows <= kMatvecRows) return launch_matvec(r, parts, rows, *q);
                     for (const Operands &o : parts) {
                         if (half && rows > kMatvecRows && fits_mma(r, o))
                             launch_mma(r, o, rows, *half);
                         else
                             launch_floats(r, o, x);
                     }
                 }});
}

} // namespace

void plan_products(Planner &planner, const std::vector<Product> &products) {
    const uint32_t tensor = products[0].matmul->inputs[1];
    const View x = planner.view(tensor);
    std::vector<Operands> all;
    for (const Product &product : products) {
        Operands o;
        o.w = planner.matrix(product.matmul->inputs[0]);
        if (product.add != RZ_NONE) o.add = planner.view(product.add);
        if (o.add && o.add->max_rows() > 1) o.add->uniform(o.add_stride);
        o.y = planner.view(product.out);
        all.push_back(o);
    }
    std::optional<Quantised> q;
    if (all[0].w.type) q = planner.quantised(tensor);
    std::optional<HalfRows> half;
    if (all[0].w.type || all[0].w.view.dtype() == RZ_DTYPE_F16) half = planner.half_rows(tensor);
    // Runs of matrices that lie one behind the other, in whatever order the nodes came.
    std::stable_sort(all.begin(), all.end(), [](const Operands &a, const Operands &b) {
        return a.w.fixed.plane[0] < b.w.fixed.plane[0];
    });
    for (size_t begin = 0, end; begin < all.size(); begin = end) {
        uint64_t n = all[begin].y.max_inner();
        for (end = begin + 1; end < all.size() && all[begin].w.is_before(all[end].w, n); ++end)
            n += all[end].y.max_inner();
        add_step(planner,
                 {all.begin() + static_cast<std::ptrdiff_t>(begin),
                  all.begin() + static_cast<std::ptrdiff_t>(end)},
                 x, q, half);
    }
}

void plan_matmul(Planner &planner, const Node &node) {
    plan_products(planner, {{&node, RZ_NONE, node.outputs[0]}});
}

} // namespace realizar::opencl
