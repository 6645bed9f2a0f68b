// ATTENTION: the keys in parts side by side when there are few tokens, then a step that joins them.
#include "plugins/common/positions.h"
#include "plugins/opencl/ops/op.h"

#include <algorithm>

namespace realizar::opencl {

namespace {

constexpr uint32_t kSplits = 32;     // at most
constexpr uint32_t kSplitTokens = 8; // more tokens have work enough

struct Operands {
    View q, k, v, positions, sequences, pages, lengths, y, parts;
    std::optional<View> sinks, slopes;
    rz_attr_attention attr;

    uint32_t tokens(Symbols symbols) const { return q.size(1, symbols); }
    // Keys of a sequence in this submission, at most.
    uint64_t keys(Symbols symbols) const {
        const uint64_t most = uint64_t{pages.max_inner()} * attr.page_size;
        if (attr.kv_symbol == RZ_NONE) return most;
        return std::min(most, static_cast<uint64_t>(symbols[attr.kv_symbol]));
    }
};

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

// Whether rows of keys and values can be read 16 bytes at a time.
bool is_wide(const Recorder &r, const Operands &o) {
    const auto fits = [&](const View &view) {
        return view.dtype() == RZ_DTYPE_F16 && view.max_inner() % 8 == 0 && r.at(view) % 16 == 0 &&
               view.stride(1) % 8 == 0 && view.stride(2) % 8 == 0;
    };
    return fits(o.k) && fits(o.v);
}

AttentionParams params_of(const Recorder &r, const Operands &o, uint32_t splits) {
    return {
        .q_at = r.at(o.q),
        .k_at = r.at(o.k),
        .v_at = r.at(o.v),
        .y_at = r.at(splits > 1 ? o.parts : o.y),
        .positions_at = r.at(o.positions),
        .sequences_at = r.at(o.sequences),
        .pages_at = r.at(o.pages),
        .lengths_at = r.at(o.lengths),
        .sinks_at = o.sinks ? r.at(*o.sinks) : kNone,
        .slopes_at = o.slopes ? r.at(*o.slopes) : kNone,
        .q_token = o.q.stride(1),
        .q_head = o.q.stride(2),
        .sequences = o.pages.size(2, r.symbols),
        .k_cell = o.k.stride(1),
        .k_head = o.k.stride(2),
        .v_cell = o.v.stride(1),
        .v_head = o.v.stride(2),
        .tokens = o.tokens(r.symbols),
        .heads = o.q.n2(),
        .group = o.q.n2() / o.k.n2(),
        .dk = o.k.max_inner(),
        .dv = o.v.max_inner(),
        .page_columns = o.pages.max_inner(),
        .page_stride = o.pages.stride(2),
        .page_size = o.attr.page_size,
        .cells = o.k.max_size(1),
        .causal = o.attr.causal,
        .window = o.attr.window,
        .splits = splits,
        .scale = o.attr.scale,
        .softcap = o.attr.softcap,
        .unused = 0,
    };
}

void launch(Recorder &r, const Operands &o) {
    constexpr uint32_t kColumns = 256; // of a workgroup
    const uint32_t tokens = o.tokens(r.symbols), heads = o.q.n2(), dv = o.v.max_inner();
    const uint32_t splits = choose_splits(r, o);
    std::string options =
        "-DTYPE_K=" + std::to_string(o.k.dtype()) + " -DTYPE_V=" + std::to_string(o.v.dtype());
    if (is_wide(r, o)) options += " -DWIDE";
    if (!r.on_cpu()) // loops of known length are worth a program of their own
        options += " -DDK=" + std::to_string(o.k.max_inner()) + " -DDV=" + std::to_string(dv);
    const cl_mem none = r.buffer(o.q);
    r.launch("attention", options, params_of(r, o, splits),
             {r.buffer(o.q), r.buffer(o.k), r.buffer(o.v), r.buffer(o.positions),
              r.buffer(o.sequences), r.buffer(o.pages), r.buffer(o.lengths),
              o.sinks ? r.buffer(*o.sinks) : none, o.slopes ? r.buffer(*o.slopes) : none,
              r.buffer(splits > 1 ? o.parts : o.y)},
             {groups_for(tokens, 1), heads, uint64_t{splits} * ((dv + kColumns - 1) / kColumns)});
    if (splits == 1) return;
    const CombineParams p = {
        r.at(o.parts), o.sinks ? r.at(*o.sinks) : kNone, r.at(o.y), tokens * heads, heads, dv,
        splits};
    r.launch("attention_combine", "", p,
             {r.buffer(o.parts), o.sinks ? r.buffer(*o.sinks) : none, r.buffer(o.y)},
             {groups_for(uint64_t{tokens} * heads, 1)});
}

} // namespace

void plan_attention(Planner &planner, const Node &node) {
    Operands o;
    View *const inputs[] = {&o.q, &o.k, &o.v, &o.positions, &o.sequences, &o.pages, &o.lengths};
    for (size_t i = 0; i < std::size(inputs); ++i)
        *inputs[i] = planner.view(node.inputs[i]);
    o.sinks = planner.optional_view(node, 7);
    o.y = planner.view(node.outputs[0]);
    o.attr = attributes_of<rz_attr_attention>(node);
    const uint32_t heads = o.q.n2();
    if (o.attr.alibi_max_bias > 0) {
        const std::vector<float> slopes = plugin::alibi_slopes(o.attr.alibi_max_bias, heads);
        o.slopes = planner.constant(slopes.data(), slopes.size() * sizeof(float));
    }
    const uint64_t tokens = std::min(o.q.max_size(1), kSplitTokens);
    o.parts =
        planner.scratch(kSplits * tokens * heads * (uint64_t{o.v.max_inner()} + 2) * sizeof(float));
    std::vector<View> touches = {o.q,     o.k,       o.v, o.positions, o.sequences,
                                 o.pages, o.lengths, o.y, o.parts};
    if (o.sinks) touches.push_back(*o.sinks);
    if (o.slopes) touches.push_back(*o.slopes);
    planner.add({touches, [o](Recorder &r) { launch(r, o); }});
}

} // namespace realizar::opencl
