// ARGMAX, TOP_K and SAMPLE.
#include "plugins/vulkan/ops/op.h"

#include <optional>

namespace realizar::vulkan {

namespace {

// Pieces of a row that a workgroup sorts (select_piece.comp), and how much of them it hands on at most:
// with more, first which elements are the k best, then their order.
constexpr uint32_t kPiece = 2048, kKept = 256;
constexpr uint32_t kMinusInfinity = 0x007fffff; // as order.glsl has it

struct Selection {
    View x;
    std::optional<View> values; // none: ARGMAX
    View indices;
    uint32_t k;
    std::optional<View> picked; // with k above kKept: [rows, k] in any order

    SelectParams params(const Recorder &r) const {
        return {r.address(x), r.address(*values), r.address(indices), r.address(*picked),
                x.stride(2),  x.max_inner(),      x.rows(r.symbols),  k};
    }
};

// One level: pieces of the rows themselves, or of what the level before handed on.
class PieceStep : public Step {
  public:
    PieceStep(const Selection &selection, std::optional<View> from, std::optional<View> to,
              uint32_t inner)
        : s_(selection), from_(from), to_(to), inner_(inner) {
        if (from) reads(*from);
        if (!from || !to) reads(s_.x);
        if (to) {
            writes(*to);
            return;
        }
        if (s_.values) writes(*s_.values);
        writes(s_.indices);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = s_.x.rows(r.symbols), pieces = (inner_ + kPiece - 1) / kPiece;
        const SelectPieceParams p = {
            r.address(s_.x),
            from_ ? r.address(*from_) : 0,
            to_ ? r.address(*to_) : 0,
            s_.values ? r.address(*s_.values) : 0,
            r.address(s_.indices),
            s_.x.stride(2),
            inner_,
            rows,
            s_.k,
            pieces,
            s_.values ? 0 : kMinusInfinity,
        };
        r.dispatch("select_piece", {}, p, {groups_for(uint64_t{rows} * pieces, 1)});
    }

  private:
    Selection s_;
    std::optional<View> from_, to_;
    uint32_t inner_;
};

class PickStep : public Step {
  public:
    explicit PickStep(const Selection &selection) : s_(selection) {
        reads(s_.x);
        writes(*s_.picked);
    }

    void record(Recorder &r) const override {
        r.dispatch("top_k_pick", {}, s_.params(r), {groups_for(s_.x.rows(r.symbols), 1)});
    }

  private:
    Selection s_;
};

class RankStep : public Step {
  public:
    explicit RankStep(const Selection &selection) : s_(selection) {
        reads(s_.x);
        reads(*s_.picked);
        writes(*s_.values);
        writes(s_.indices);
    }

    void record(Recorder &r) const override {
        r.dispatch("top_k_rank", {}, s_.params(r),
                   {groups_for(s_.k, 256), groups_for(s_.x.rows(r.symbols), 1)});
    }

  private:
    Selection s_;
};

class SampleStep : public Step {
  public:
    SampleStep(const View &logits, const View &tokens, const View &draws, const View &y)
        : logits_(logits), tokens_(tokens), draws_(draws), y_(y) {
        reads(logits);
        reads(tokens);
        reads(draws);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = logits_.rows(r.symbols);
        const SampleParams p = {r.address(logits_), r.address(tokens_),  r.address(draws_),
                                r.address(y_),      logits_.stride(2),   tokens_.stride(2),
                                draws_.stride(2),   logits_.max_inner(), rows};
        r.dispatch("sample", {}, p, {groups_for(rows, 1)});
    }

  private:
    View logits_, tokens_, draws_, y_;
};

// Levels until one piece is left.
void plan_pieces(Planner &planner, const Selection &s) {
    std::optional<View> from;
    uint32_t inner = s.x.max_inner();
    while (inner > kPiece) {
        const uint32_t kept = (inner + kPiece - 1) / kPiece * s.k;
        const View to = planner.scratch(uint64_t{s.x.max_rows()} * kept * 2 * sizeof(uint32_t));
        planner.add(std::make_unique<PieceStep>(s, from, to, inner));
        from = to;
        inner = kept;
    }
    planner.add(std::make_unique<PieceStep>(s, from, std::nullopt, inner));
}

} // namespace

void plan_argmax(Planner &planner, const Node &node) {
    plan_pieces(planner, {planner.view(node.inputs[0]), std::nullopt, planner.view(node.outputs[0]),
                          1, std::nullopt});
}

void plan_top_k(Planner &planner, const Node &node) {
    Selection selection = {planner.view(node.inputs[0]), planner.view(node.outputs[0]),
                           planner.view(node.outputs[1]), attributes_of<rz_attr_top_k>(node).k,
                           std::nullopt};
    if (selection.k <= kKept) {
        plan_pieces(planner, selection);
        return;
    }
    selection.picked =
        planner.scratch(uint64_t{selection.x.max_rows()} * selection.k * sizeof(uint32_t));
    planner.add(std::make_unique<PickStep>(selection));
    planner.add(std::make_unique<RankStep>(selection));
}

void plan_sample(Planner &planner, const Node &node) {
    planner.add(
        std::make_unique<SampleStep>(planner.view(node.inputs[0]), planner.view(node.inputs[1]),
                                     planner.view(node.inputs[2]), planner.view(node.outputs[0])));
}

} // namespace realizar::vulkan
