// MATMUL, alone, with an addend, or several of one x.
#include "plugins/opencl/ops/dense.h"

#include <algorithm>

namespace realizar::opencl {

namespace {

using Operands = MatmulOperands;

// x as its matrices take it.
struct Vectors {
    View x;
    std::optional<Quantised> bytes;
    std::optional<HalfRows> half;
    std::optional<Single> single; // with the first matrix
    std::optional<View> weights;  // room for one matrix in F16, for many rows
    std::optional<Dense> dense;   // CLBlast, if it may make them
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

// From how many rows on a matrix is decoded to F16 as a whole, not tile by tile.
constexpr uint32_t kHalfWeightsRows = 64;

// With weights in F16: those of the matrix or, from planes, made before in `room`.
void launch_half(Recorder &r, const Operands &o, uint32_t rows, const HalfRows &x,
                 const std::optional<View> &room) {
    constexpr uint32_t kTile = 128;
    const uint32_t n = o.y.max_inner(), k = o.w.view.max_inner();
    const uint64_t at = r.at(x.memory);
    cl_mem weights = o.w.buffer(r);
    MatmulHalfParams p = {r.at(o.w.view),
                          at,
                          at + x.scales,
                          r.at(o.y),
                          o.add ? r.at(*o.add) : kNone,
                          k,
                          n,
                          rows,
                          o.add_stride,
                          o.w.view.stride(2),
                          0};
    if (o.w.type) {
        const DecodeParams decode = {o.w.planes(r), r.at(*room), k, 0, n, 0};
        r.launch("half_weights", o.w.option(), decode, {weights, r.buffer(*room)},
                 {groups_for(k / 8, 256), groups_for(n, 1)});
        weights = r.buffer(*room);
        p.w_at = r.at(*room);
        p.stride = k;
    }
    const uint64_t columns = (n + kTile - 1) / kTile;
    // Two workgroups of the larger tile fit a compute unit.
    const bool large = columns * ((rows + kTile - 1) / kTile) >= 2 * r.units();
    const uint32_t tile = large ? kTile : kTile / 2;
    r.launch("matmul_half", "-DTILE_T=" + std::to_string(tile), p,
             {weights, r.buffer(x.memory), r.buffer(o.y), r.buffer(o.add.value_or(o.y))},
             {(rows + tile - 1) / tile, columns});
}

// The first n rows of w.
void launch_floats(Recorder &r, const Operands &o, const View &x, uint32_t n) {
    constexpr uint32_t kTile = 64; // of matmul_tile.cl
    const uint32_t rows = x.rows(r.symbols);
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

void add_step(Planner &planner, const std::vector<Operands> &parts, const Vectors &v) {
    std::vector<View> touches = {v.x};
    if (v.bytes) touches.push_back(v.bytes->memory);
    if (v.half) touches.push_back(v.half->memory);
    if (v.single) v.single->add_touches(touches);
    if (v.weights) touches.push_back(*v.weights);
    if (v.dense) v.dense->add_touches(touches);
    for (const Operands &o : parts) {
        touches.push_back(o.w.is_packed ? o.w.packed : o.w.view);
        if (o.add) touches.push_back(*o.add);
        touches.push_back(o.y);
    }
    planner.add({touches, [=](Recorder &r) {
                     const uint32_t rows = v.x.rows(r.symbols);
                     if (rows == 0) return;
                     if (v.single && rows == 1) return v.single->launch(r, parts);
                     if (v.bytes && rows <= kMatvecRows)
                         return launch_matvec(r, parts, rows, *v.bytes);
                     for (const Operands &o : parts) {
                         const auto own = [&](Recorder &to, uint32_t n) {
                             launch_floats(to, o, v.x, n);
                         };
                         if (v.dense && v.dense->launch(r, o, own)) continue;
                         const bool half = v.half && rows > kMatvecRows && fits_mma(r, o);
                         if (half && rows >= kHalfWeightsRows && (!o.w.type || v.weights))
                             launch_half(r, o, rows, *v.half, v.weights);
                         else if (half)
                             launch_mma(r, o, rows, *v.half);
                         else
                             own(r, o.y.max_inner());
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
    Vectors v;
    v.x = x;
    if (all[0].w.type) v.bytes = planner.quantised(tensor);
    const bool forced = planner.features().products == Products::clblast;
    if (!forced && (all[0].w.type || all[0].w.view.dtype() == RZ_DTYPE_F16))
        v.half = planner.half_rows(tensor);
    const bool single = all[0].w.type && planner.fits_single(x);
    // Runs of matrices that lie one behind the other, in whatever order the nodes came.
    std::stable_sort(all.begin(), all.end(), [](const Operands &a, const Operands &b) {
        return a.w.fixed.plane[0] < b.w.fixed.plane[0];
    });
    for (size_t begin = 0, end; begin < all.size(); begin = end) {
        uint64_t n = all[begin].y.max_inner();
        for (end = begin + 1; end < all.size() && all[begin].w.is_before(all[end].w, n); ++end)
            n += all[end].y.max_inner();
        if (v.half && all[begin].w.type && x.max_rows() >= kHalfWeightsRows) {
            uint64_t rows = 0; // of one matrix, at most
            for (size_t i = begin; i < end; ++i)
                rows = std::max<uint64_t>(rows, all[i].y.max_inner());
            v.weights = planner.scratch(rows * x.max_inner() * sizeof(uint16_t));
        }
        if (single) v.single.emplace(planner, all[begin].w, tensor);
        const std::vector<Operands> run(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                        all.begin() + static_cast<std::ptrdiff_t>(end));
        // No F32 product comes near the matrix units.
        if (!v.half) v.dense = Dense::plan(planner, x, run);
        add_step(planner, run, v);
    }
}

void plan_matmul(Planner &planner, const Node &node) {
    plan_products(planner, {{&node, RZ_NONE, node.outputs[0]}});
}

} // namespace realizar::opencl
