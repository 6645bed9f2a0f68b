// EXPERT_MATMUL: each line, a row of the result [tokens, chosen, n], by the matrix of its expert. Few
// lines go each on its own; many are sorted by expert first, so that a tile of weights serves all lines
// of its expert.
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/plan/choose.h"

#include <algorithm>
#include <optional>

namespace realizar::vulkan {

namespace {

constexpr uint32_t kTileLines = 32; // of the shaders

struct Operands {
    Matrix w;
    View x, y;
    std::optional<View> ids, bias;
    std::optional<View> order;  // for tiles
    std::optional<View> memory; // of x in 8 bits, for vectors
    uint64_t scales = 0;        // offset in it
    uint32_t expert_stride = 0; // in groups for planes, else elements
    uint32_t experts = 0, chosen = 0;

    uint32_t lines(Symbols symbols) const { return y.size(1, symbols) * chosen; }
    uint32_t max_lines() const { return y.max_size(1) * chosen; }
    // Lines that go each on its own, at most: with fewer than two for an expert tiles are empty.
    uint32_t most_alone() const { return std::clamp(2 * experts, kTileLines, 4096u); }
    uint32_t most_tiles() const { return max_lines() / kTileLines + experts + 1; }
    uint32_t x_lines(Symbols symbols) const { return x.rows(symbols); }
    // Rows of x for lines: a dimension of 1 repeats.
    Rows x_rows(const Recorder &r) const {
        return {r.address(x), x.stride(1), 0, x.n2() == 1 ? 0 : x.stride(2), 0};
    }
};

class SortStep : public Step {
  public:
    explicit SortStep(const Operands &o) : o_(o) {
        if (o.ids) reads(*o.ids);
        writes(*o.order);
    }

    void record(Recorder &r) const override {
        const uint32_t lines = o_.lines(r.symbols);
        if (lines <= o_.most_alone()) return;
        const ExpertSortParams p = {
            o_.ids ? r.address(*o_.ids) : 0, r.address(*o_.order), lines,          o_.chosen,
            o_.ids ? o_.ids->stride(2) : 0,  o_.experts,           o_.most_tiles()};
        r.dispatch("expert_sort", {}, p, {1});
    }

  private:
    Operands o_;
};

// x in 8 bits for lines that go alone.
class BytesStep : public Step {
  public:
    explicit BytesStep(const Operands &o) : o_(o) {
        reads(o.x);
        writes(*o.memory);
    }

    void record(Recorder &r) const override {
        if (o_.lines(r.symbols) > o_.most_alone()) return;
        const uint64_t base = r.address(*o_.memory);
        const QuantizeParams p = {r.rows(o_.x),
                                  {},
                                  base,
                                  base + o_.scales,
                                  o_.x.n1(),
                                  o_.x.n2(),
                                  o_.x.max_inner(),
                                  o_.x_lines(r.symbols),
                                  0};
        const bool wide = p.x.base % 16 == 0 && (p.x.s0 | p.x.s1 | p.x.s2) % 4 == 0;
        r.dispatch("quantize", {0, wide ? 1u : 0u}, p, {p.rows});
    }

  private:
    Operands o_;
};

class ExpertStep : public Step {
  public:
    explicit ExpertStep(const Operands &o) : o_(o) {
        o.w.add_reads(*this);
        reads(o.x);
        for (const auto *view : {&o.ids, &o.bias, &o.order, &o.memory})
            if (*view) reads(**view);
        writes(o.y);
    }

    void record(Recorder &r) const override {
        const uint32_t lines = o_.lines(r.symbols);
        if (lines > o_.most_alone()) return record_tiles(r, lines);
        if (o_.w.type) return record_bytes(r, lines);
        ExpertParams p = params(r);
        p.ids = o_.ids ? r.address(*o_.ids) : 0;
        r.dispatch("expert_vector_plain", {o_.w.view.dtype()}, p, {groups_for(p.n, kTeams), lines});
    }

  private:
    static constexpr uint32_t kTeams = 8; // of a workgroup, each with a row of w

    ExpertParams params(const Recorder &r) const {
        ExpertParams p = {};
        p.w = o_.w.resolve(r);
        p.x = o_.x_rows(r);
        p.bias = o_.bias ? r.address(*o_.bias) : 0;
        p.y = r.address(o_.y);
        p.k = o_.x.max_inner();
        p.n = o_.y.max_inner();
        p.chosen = o_.chosen;
        p.experts = o_.experts;
        p.ids_stride = o_.ids ? o_.ids->stride(2) : 0;
        p.expert_stride = o_.expert_stride;
        p.bias_stride = o_.bias ? o_.bias->stride(2) : 0;
        return p;
    }

    void record_bytes(Recorder &r, uint32_t lines) const {
        const ExpertParams all = params(r);
        const uint64_t base = r.address(*o_.memory);
        const ExpertVectorParams p = {
            .w = all.w,
            .q = base,
            .s = base + o_.scales,
            .ids = o_.ids ? r.address(*o_.ids) : 0,
            .bias = all.bias,
            .y = all.y,
            .n = all.n,
            .chosen = all.chosen,
            .experts = all.experts,
            .ids_stride = all.ids_stride,
            .expert_stride = all.expert_stride,
            .bias_stride = all.bias_stride,
            .x_lines = o_.x_lines(r.symbols),
            .own = o_.x.n2() == o_.chosen ? 1u : 0u,
        };
        const uint64_t blocks = uint64_t{lines} * p.n * (o_.x.max_inner() / 32) / o_.w.type->groups;
        r.expect_bytes(blocks * o_.w.type->block_bytes);
        const std::string name = std::string("expert_vector_") + o_.w.type->suffix;
        r.dispatch(name + (r.features().int_dot ? "_dot" : ""), {}, p,
                   {groups_for(p.n, kTeams), lines});
    }

    void record_tiles(Recorder &r, uint32_t lines) const {
        constexpr uint32_t kTileN = 64; // rows of w in a workgroup
        ExpertParams p = params(r);
        p.ids = r.address(*o_.order);
        const uint32_t tiles = lines / kTileLines + std::min(lines, o_.experts + 1);
        r.dispatch(std::string("expert_tile_") + (o_.w.type ? o_.w.type->suffix : "plain"),
                   {o_.w.type ? 0u : o_.w.view.dtype(), o_.most_tiles()}, p,
                   {groups_for(p.n, kTileN), groups_for(tiles, 1)});
    }

    Operands o_;
};

// Where the lines of `o` in the order of their experts lie; made once for all nodes with its experts.
View plan_order(Planner &planner, const Node &node, Operands &o) {
    const bool named = o.ids.has_value();
    const uint32_t source = named ? node.inputs[2] : node.outputs[0];
    const std::string what =
        "experts " + std::to_string(o.experts) + " of " + std::to_string(source);
    const bool constant = !named || planner.region().tensors[source].role != RZ_ROLE_STATE;
    if (const View *shared = planner.find_shared(what); shared && constant) return *shared;
    const uint64_t numbers =
        1 + 3 * uint64_t{o.most_tiles()} + uint64_t{o.experts} + 1 + o.max_lines();
    o.order = planner.scratch(numbers * sizeof(uint32_t));
    planner.add(std::make_unique<SortStep>(o));
    planner.share(what, *o.order);
    return *o.order;
}

void plan_bytes(Planner &planner, uint32_t tensor, Operands &o) {
    const uint64_t rows = std::min(o.x.max_rows(), o.most_alone());
    o.scales = align_up(rows * o.x.max_inner(), 16);
    const std::string what = "expert bytes " + std::to_string(tensor);
    const bool constant = planner.region().tensors[tensor].role != RZ_ROLE_STATE;
    if (const View *shared = planner.find_shared(what); shared && constant) {
        o.memory = *shared;
        return;
    }
    o.memory = planner.scratch(o.scales + rows * o.x.max_inner() / 4);
    planner.add(std::make_unique<BytesStep>(o));
    planner.share(what, *o.memory);
}

} // namespace

void plan_expert_matmul(Planner &planner, const Node &node) {
    const Region &region = planner.region();
    const Tensor w = region.input(node, 0);
    Operands o;
    o.w = planner.matrix(node.inputs[0]);
    o.x = planner.view(node.inputs[1]);
    o.y = planner.view(node.outputs[0]);
    if (region.has_input(node, 2)) o.ids = planner.view(node.inputs[2]);
    if (region.has_input(node, 3)) o.bias = planner.view(node.inputs[3]);
    o.experts = static_cast<uint32_t>(w.dims[0]);
    o.chosen = o.y.n2();
    if (!o.w.type)
        o.expert_stride = o.w.view.stride(1);
    else if (o.w.is_packed)
        o.expert_stride = o.w.view.n2() * (o.w.view.max_inner() / 32);
    else
        o.expert_stride = static_cast<uint32_t>(static_cast<uint64_t>(w.strides[0]) /
                                                o.w.type->block_bytes * o.w.type->groups);
    if (o.max_lines() > o.most_alone()) o.order = plan_order(planner, node, o);
    if (o.w.type) plan_bytes(planner, node.inputs[1], o);
    planner.add(std::make_unique<ExpertStep>(o));
}

} // namespace realizar::vulkan
