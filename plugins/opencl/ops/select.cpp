// ARGMAX, TOP_K and SAMPLE.
#include "plugins/opencl/ops/op.h"

#include <optional>

namespace realizar::opencl {

namespace {

// Pieces of a row that a workgroup sorts (kernels/select_piece.cl), and how much of them it hands on at
// most: with more, first which elements are the k best, then their order.
constexpr uint32_t kPiece = 2048, kKept = 256;
constexpr uint32_t kMinusInfinity = 0x007fffff; // as kernels/order.h has it

struct Selection {
    View x;
    std::optional<View> values; // none: ARGMAX
    View indices;
    uint32_t k;
};

ulong place_of(const Recorder &r, const std::optional<View> &view) {
    return view ? r.at(*view) : kNone;
}

// One level: pieces of the rows themselves, or of what the level before handed on.
void add_level(Planner &planner, const Selection &s, std::optional<View> from,
               std::optional<View> to, uint32_t inner) {
    std::vector<View> touches = {s.x, s.indices};
    for (const auto &view : {from, to, s.values})
        if (view) touches.push_back(*view);
    planner.add({touches, [=](Recorder &r) {
                     const uint32_t rows = s.x.rows(r.symbols);
                     const uint32_t pieces = (inner + kPiece - 1) / kPiece;
                     const SelectPieceParams p = {
                         r.at(s.x),
                         place_of(r, from),
                         place_of(r, to),
                         place_of(r, s.values),
                         r.at(s.indices),
                         s.x.stride(2),
                         inner,
                         rows,
                         s.k,
                         pieces,
                         s.values ? 0 : kMinusInfinity,
                     };
                     r.launch("select_piece", "", p,
                              {r.buffer(s.x), r.buffer(from.value_or(s.x)),
                               r.buffer(to.value_or(s.x)), r.buffer(s.values.value_or(s.x)),
                               r.buffer(s.indices)},
                              {groups_for(uint64_t{rows} * pieces, 1)});
                 }});
}

// Levels until one piece is left.
void plan_pieces(Planner &planner, const Selection &s) {
    std::optional<View> from;
    uint32_t inner = s.x.max_inner();
    while (inner > kPiece) {
        const uint32_t kept = (inner + kPiece - 1) / kPiece * s.k;
        const View to = planner.scratch(uint64_t{s.x.max_rows()} * kept * 2 * sizeof(uint32_t));
        add_level(planner, s, from, to, inner);
        from = to;
        inner = kept;
    }
    add_level(planner, s, from, std::nullopt, inner);
}

void plan_picked(Planner &planner, const Selection &s) {
    const View values = *s.values;
    const View picked = planner.scratch(uint64_t{s.x.max_rows()} * s.k * sizeof(uint32_t));
    planner.add({{s.x, values, s.indices, picked}, [=](Recorder &r) {
                     const uint32_t rows = s.x.rows(r.symbols);
                     const SelectParams p = {r.at(s.x),
                                             r.at(values),
                                             r.at(s.indices),
                                             r.at(picked),
                                             s.x.stride(2),
                                             s.x.max_inner(),
                                             rows,
                                             s.k};
                     r.launch("top_k_pick", "", p, {r.buffer(s.x), r.buffer(picked)},
                              {groups_for(rows, 1)});
                     r.launch(
                         "top_k_rank", "", p,
                         {r.buffer(s.x), r.buffer(picked), r.buffer(values), r.buffer(s.indices)},
                         {groups_for(s.k, 256), groups_for(rows, 1)});
                 }});
}

} // namespace

void plan_select(Planner &planner, const Node &node) {
    const bool top = node.op == RZ_OP_TOP_K;
    Selection s = {planner.view(node.inputs[0]), std::nullopt,
                   planner.view(node.outputs[top ? 1 : 0]), 1};
    if (top) {
        s.values = planner.view(node.outputs[0]);
        s.k = attributes_of<rz_attr_top_k>(node).k;
    }
    if (s.k <= kKept)
        plan_pieces(planner, s);
    else
        plan_picked(planner, s);
}

void plan_sample(Planner &planner, const Node &node) {
    const View logits = planner.view(node.inputs[0]), tokens = planner.view(node.inputs[1]);
    const View draws = planner.view(node.inputs[2]), y = planner.view(node.outputs[0]);
    planner.add(
        {{logits, tokens, draws, y}, [=](Recorder &r) {
             const uint32_t rows = logits.rows(r.symbols);
             const SampleParams p = {
                 r.at(logits),     r.at(tokens),    r.at(draws),        r.at(y), logits.stride(2),
                 tokens.stride(2), draws.stride(2), logits.max_inner(), rows,    0};
             r.launch("sample", "", p,
                      {r.buffer(logits), r.buffer(tokens), r.buffer(draws), r.buffer(y)},
                      {groups_for(rows, 1)});
         }});
}

} // namespace realizar::opencl
