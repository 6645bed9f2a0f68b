// ATTENTION: the keys in parts side by side when there are few tokens, then a step that joins them.
#include "plugins/vulkan/ops/attention.h"
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/ops/rotated_cache.h"
#include "plugins/vulkan/plan/choose.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace realizar::vulkan {

namespace {

using Operands = AttentionOperands;

class AttentionStep : public Step {
  public:
    explicit AttentionStep(const Operands &o) : o_(o) {
        for (const View *view :
             {&o.q, &o.k, &o.v, &o.positions, &o.sequences, &o.pages, &o.lengths, &o.table})
            reads(*view);
        if (o.sinks) reads(*o.sinks);
        if (o.slopes) reads(*o.slopes);
        writes(o.y);
        writes(o.parts);
        writes(o.counters);
    }

    void record(Recorder &r) const override {
        if (runs_attention_decode(r, o_)) return record_attention_decode(r, o_);
        constexpr uint32_t kColumns = 256; // of a workgroup
        const uint32_t tokens = o_.tokens(r.symbols), heads = o_.q.n2();
        const uint32_t splits = o_.splits(r.symbols), dv = o_.v.max_inner();
        const AttentionParams p = {
            .q = r.address(o_.q),
            .k = r.address(o_.k),
            .v = r.address(o_.v),
            .table = r.address(o_.table),
            .y = r.address(splits > 1 ? o_.parts : o_.y),
            .q_token = o_.q.stride(1),
            .q_head = o_.q.stride(2),
            .sequences = o_.pages.size(2, r.symbols),
            .k_cell = o_.k.stride(1),
            .k_head = o_.k.stride(2),
            .v_cell = o_.v.stride(1),
            .v_head = o_.v.stride(2),
            .tokens = tokens,
            .heads = heads,
            .group = heads / o_.k.n2(),
            .dk = o_.k.max_inner(),
            .dv = dv,
            .splits = splits,
            .scale = o_.attr.scale,
            .softcap = o_.attr.softcap,
        };
        if (record_coopmat(r, p)) return;
        r.dispatch("attention", {o_.k.dtype(), o_.v.dtype(), o_.is_wide(r) ? 1u : 0u}, p,
                   {groups_for(tokens, 1), heads, splits * ((dv + kColumns - 1) / kColumns)});
    }

    void fill_table(std::span<const Place> places) const override {
        const auto address = [&](const View &view) {
            return places[view.storage()].address + view.offset();
        };
        const AttentionTable table = {
            .positions = address(o_.positions),
            .sequences = address(o_.sequences),
            .pages = address(o_.pages),
            .lengths = address(o_.lengths),
            .sinks = o_.sinks ? address(*o_.sinks) : 0,
            .slopes = o_.slopes ? address(*o_.slopes) : 0,
            .page_columns = o_.pages.max_inner(),
            .page_stride = o_.pages.stride(2),
            .page_size = o_.attr.page_size,
            .cells = o_.k.max_size(1),
            .causal = o_.attr.causal,
            .window = o_.attr.window,
        };
        std::memcpy(places[o_.table.storage()].host, &table, sizeof(table));
    }

  private:
    // With cooperative matrices, where the operands lie as those kernels read them.
    bool record_coopmat(Recorder &r, const AttentionParams &p) const {
        const std::string width = std::to_string(p.dv);
        const std::string coopmat = "attention_coopmat_" + width;
        if (p.tokens <= kAttentionSplitTokens || !r.features().coopmat_khr || p.dk != p.dv ||
            !Pipelines::has(coopmat) || !o_.is_wide(r))
            return false;
        const std::string nv = "attention_nv_" + width;
        constexpr uint32_t kRows = 64, kChunk = 64; // queries; keys that lie one behind the other
        const bool chunks = o_.attr.page_size % kChunk == 0 && o_.k.max_size(1) % kChunk == 0;
        const bool aligned = (p.q | p.y) % 16 == 0 && (p.q_token | p.q_head) % 4 == 0;
        if (r.features().coopmat_nv && chunks && aligned && Pipelines::has(nv)) {
            const bool plain = !o_.slopes && p.softcap == 0;
            r.dispatch(nv, {plain ? 1u : 0u, p.q_token, p.k_cell, p.v_cell, p.heads * p.dv}, p,
                       {groups_for(p.tokens, kRows), p.heads});
        } else {
            r.dispatch(coopmat, {}, p, {groups_for(p.tokens, kRows), p.heads});
        }
        return true;
    }

    Operands o_;
};

class CombineStep : public Step {
  public:
    explicit CombineStep(const Operands &o) : o_(o) {
        reads(o.parts);
        if (o.sinks) reads(*o.sinks);
        writes(o.y);
    }

    void record(Recorder &r) const override {
        const uint32_t splits = o_.splits(r.symbols);
        if (splits == 1 || runs_attention_decode(r, o_)) return;
        const uint32_t rows = o_.tokens(r.symbols) * o_.q.n2();
        const CombineParams p = {r.address(o_.parts),
                                 o_.sinks ? r.address(*o_.sinks) : 0,
                                 r.address(o_.y),
                                 rows,
                                 o_.q.n2(),
                                 o_.v.max_inner(),
                                 splits};
        r.dispatch("attention_combine", {}, p, {groups_for(rows, 1)});
    }

  private:
    Operands o_;
};

std::vector<float> slopes(double bias, uint32_t heads) {
    uint32_t n = 1;
    while (2 * n <= heads)
        n *= 2;
    std::vector<float> result;
    for (uint32_t h = 0; h < heads; ++h) {
        const double at = h < n ? h + 1 : 2 * (h - n) + 1, rate = h < n ? bias : bias / 2;
        result.push_back(static_cast<float>(std::exp2(-rate * at / n)));
    }
    return result;
}

// Zeros, which every attention leaves as zeros.
View plan_counters(Planner &planner, uint64_t count) {
    const std::string what = "counters " + std::to_string(count);
    if (const View *shared = planner.find_shared(what)) return *shared;
    const std::vector<uint32_t> zeros(count);
    const View view = planner.constant(zeros.data(), zeros.size() * sizeof(uint32_t));
    planner.share(what, view);
    return view;
}

} // namespace

uint32_t AttentionOperands::splits(Symbols symbols) const {
    return choose_splits(tokens(symbols), q.n2(), keys(symbols));
}

uint64_t AttentionOperands::keys(Symbols symbols) const {
    const uint64_t most = uint64_t{pages.max_inner()} * attr.page_size;
    if (attr.kv_symbol == RZ_NONE) return most;
    return std::min(most, static_cast<uint64_t>(symbols[attr.kv_symbol]));
}

bool AttentionOperands::is_wide(const Recorder &r) const {
    bool result = r.address(q) % 8 == 0 && q.stride(1) % 2 == 0 && q.stride(2) % 2 == 0;
    for (const View *view : {&k, &v})
        result = result && view->dtype() == RZ_DTYPE_F16 && view->max_inner() % 8 == 0 &&
                 r.address(*view) % 16 == 0 && view->stride(1) % 8 == 0 && view->stride(2) % 8 == 0;
    return result;
}

void plan_attention(Planner &planner, const Node &node) {
    Operands o;
    View *const inputs[] = {&o.q, &o.k, &o.v, &o.positions, &o.sequences, &o.pages, &o.lengths};
    for (size_t i = 0; i < std::size(inputs); ++i)
        *inputs[i] = planner.view(node.inputs[i]);
    if (planner.region().has_input(node, 7)) o.sinks = planner.view(node.inputs[7]);
    const View y = planner.view(node.outputs[0]);
    const bool rotated_keys = o.k.dtype() == RZ_DTYPE_Q4_0;
    const bool rotated_values = o.v.dtype() == RZ_DTYPE_Q4_0;
    if (rotated_keys) {
        const View rotated = planner.scratch_like(node.inputs[0]);
        plan_hadamard(planner, o.q, rotated);
        o.q = rotated;
    }
    o.y = rotated_values ? planner.scratch_like(node.outputs[0]) : y;
    o.attr = attributes_of<rz_attr_attention>(node);
    const uint32_t heads = o.q.n2();
    if (o.attr.alibi_max_bias > 0) {
        const std::vector<float> values = slopes(o.attr.alibi_max_bias, heads);
        o.slopes = planner.constant(values.data(), values.size() * sizeof(float));
    }
    const uint64_t tokens = std::min(o.q.max_size(1), kAttentionSplitTokens);
    const uint64_t splits = std::max(uint64_t{kAttentionSplits} * tokens, decode_parts());
    o.parts = planner.scratch(splits * heads * (uint64_t{o.v.max_inner()} + 2) * sizeof(float));
    o.counters = plan_counters(planner, tokens * heads);
    o.table = planner.table(sizeof(AttentionTable));
    planner.add(std::make_unique<AttentionStep>(o));
    planner.add(std::make_unique<CombineStep>(o));
    if (rotated_values) plan_hadamard(planner, o.y, y);
}

} // namespace realizar::vulkan
