// ATTENTION: the keys in parts side by side when there are few tokens, then a step that joins them.
#include "plugins/opencl/ops/attention.h"
#include "plugins/common/positions.h"

#include <algorithm>

namespace realizar::opencl {

namespace {

constexpr uint32_t kSplits = 32; // at most

using Operands = AttentionOperands;

// Into how many parts the keys are cut.
uint32_t choose_splits(const Recorder &r, const Operands &o) {
    constexpr uint64_t kKeysOfSplit = 64; // one chunk of the kernel
    const uint32_t tokens = o.tokens(r.symbols);
    const uint64_t keys = o.keys(r.symbols);
    if (tokens == 0 || tokens > kSplitTokens || keys <= 2 * kKeysOfSplit) return 1;
    const uint64_t wanted = uint64_t{8} * r.units() / (uint64_t{tokens} * o.q.n2());
    const uint64_t useful = keys / kKeysOfSplit;
    return static_cast<uint32_t>(
        std::clamp<uint64_t>(std::min(wanted, useful), 2, uint64_t{kSplits}));
}

// Any types, sizes and numbers of tokens.
void launch_general(Recorder &r, const Operands &o) {
    constexpr uint32_t kColumns = 256; // of a workgroup
    const uint32_t tokens = o.tokens(r.symbols), heads = o.q.n2(), dv = o.v.max_inner();
    const uint32_t splits = choose_splits(r, o);
    std::string options =
        "-DTYPE_K=" + std::to_string(o.k.dtype()) + " -DTYPE_V=" + std::to_string(o.v.dtype());
    if (o.is_wide(r)) options += " -DWIDE";
    if (!r.on_cpu()) // loops of known length are worth a program of their own
        options += " -DDK=" + std::to_string(o.k.max_inner()) + " -DDV=" + std::to_string(dv);
    AttentionParams p = o.params(r, splits);
    if (splits > 1) p.y_at = p.parts_at;
    const auto b = o.buffers(r);
    r.launch("attention", options, p,
             {b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8],
              r.buffer(splits > 1 ? o.parts : o.y)},
             {groups_for(tokens, 1), heads, uint64_t{splits} * ((dv + kColumns - 1) / kColumns)});
    if (splits > 1) launch_combine(r, o, splits);
}

void launch(Recorder &r, const Operands &o) {
    if (runs_attention_decode(r, o)) return launch_attention_decode(r, o);
    if (runs_attention_mma(r, o)) return launch_attention_mma(r, o);
    Operands rotated = o;
    if (o.rotated_q) launch_hadamard(r, o.q, rotated.q = *o.rotated_q);
    if (o.rotated_y) rotated.y = *o.rotated_y;
    launch_general(r, rotated);
    if (o.rotated_y) launch_hadamard(r, *o.rotated_y, o.y);
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

AttentionParams AttentionOperands::params(const Recorder &r, uint32_t splits) const {
    return {
        .q_at = r.at(q),
        .k_at = r.at(k),
        .v_at = r.at(v),
        .y_at = r.at(y),
        .positions_at = r.at(positions),
        .sequences_at = r.at(sequences),
        .pages_at = r.at(pages),
        .lengths_at = r.at(lengths),
        .sinks_at = sinks ? r.at(*sinks) : kNone,
        .slopes_at = slopes ? r.at(*slopes) : kNone,
        .parts_at = r.at(parts),
        .counters_at = r.at(counters),
        .q_token = q.stride(1),
        .q_head = q.stride(2),
        .sequences = pages.size(2, r.symbols),
        .k_cell = k.stride(1),
        .k_head = k.stride(2),
        .v_cell = v.stride(1),
        .v_head = v.stride(2),
        .tokens = tokens(r.symbols),
        .heads = q.n2(),
        .group = q.n2() / k.n2(),
        .dk = k.max_inner(),
        .dv = v.max_inner(),
        .page_columns = pages.max_inner(),
        .page_stride = pages.stride(2),
        .page_size = attr.page_size,
        .cells = k.max_size(1),
        .causal = attr.causal,
        .window = attr.window,
        .splits = splits,
        .scale = attr.scale,
        .softcap = attr.softcap,
        .unused = 0,
    };
}

std::array<cl_mem, 9> AttentionOperands::buffers(const Recorder &r) const {
    return {r.buffer(q),
            r.buffer(k),
            r.buffer(v),
            r.buffer(positions),
            r.buffer(sequences),
            r.buffer(pages),
            r.buffer(lengths),
            r.buffer(sinks.value_or(q)),
            r.buffer(slopes.value_or(q))};
}

uint64_t AttentionOperands::keys(Symbols symbols) const {
    const uint64_t most = uint64_t{pages.max_inner()} * attr.page_size;
    if (attr.kv_symbol == RZ_NONE) return most;
    return std::min(most, static_cast<uint64_t>(symbols[attr.kv_symbol]));
}

bool AttentionOperands::is_wide(const Recorder &r, const View &cache) {
    return cache.dtype() == RZ_DTYPE_F16 && cache.max_inner() % 8 == 0 && r.at(cache) % 16 == 0 &&
           cache.stride(1) % 8 == 0 && cache.stride(2) % 8 == 0;
}

void launch_combine(Recorder &r, const AttentionOperands &o, uint32_t splits) {
    const uint32_t heads = o.q.n2(), rows = o.tokens(r.symbols) * heads;
    const CombineParams p = {
        r.at(o.parts), o.sinks ? r.at(*o.sinks) : kNone, r.at(o.y), rows, heads, o.v.max_inner(),
        splits};
    r.launch("attention_combine", "", p,
             {r.buffer(o.parts), r.buffer(o.sinks.value_or(o.q)), r.buffer(o.y)},
             {groups_for(rows, 1)});
}

void plan_attention(Planner &planner, const Node &node) {
    Operands o;
    View *const inputs[] = {&o.q, &o.k, &o.v, &o.positions, &o.sequences, &o.pages, &o.lengths};
    for (size_t i = 0; i < std::size(inputs); ++i)
        *inputs[i] = planner.view(node.inputs[i]);
    o.sinks = planner.optional_view(node, 7);
    o.y = planner.view(node.outputs[0]);
    if (o.k.dtype() == RZ_DTYPE_Q4_0) o.rotated_q = planner.scratch_like(node.inputs[0]);
    if (o.v.dtype() == RZ_DTYPE_Q4_0) o.rotated_y = planner.scratch_like(node.outputs[0]);
    o.attr = attributes_of<rz_attr_attention>(node);
    const uint32_t heads = o.q.n2();
    if (o.attr.alibi_max_bias > 0) {
        const std::vector<float> slopes = plugin::alibi_slopes(o.attr.alibi_max_bias, heads);
        o.slopes = planner.constant(slopes.data(), slopes.size() * sizeof(float));
    }
    const uint64_t tokens = std::min(o.q.max_size(1), kSplitTokens);
    const uint64_t parts = std::max<uint64_t>(kSplits * tokens, kDecodeParts);
    o.parts = planner.scratch(parts * heads * (uint64_t{o.v.max_inner()} + 2) * sizeof(float));
    o.counters = plan_counters(planner, tokens * heads);
    std::vector<View> touches = {o.q,     o.k,       o.v, o.positions, o.sequences,
                                 o.pages, o.lengths, o.y, o.parts,     o.counters};
    if (o.sinks) touches.push_back(*o.sinks);
    for (const auto &view : {o.slopes, o.rotated_q, o.rotated_y})
        if (view) touches.push_back(*view);
    planner.add({touches, [o](Recorder &r) { launch(r, o); }});
}

} // namespace realizar::opencl
