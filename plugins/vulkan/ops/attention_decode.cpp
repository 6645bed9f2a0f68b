#include "plugins/vulkan/ops/attention.h"

#include "plugins/vulkan/plan/choose.h"

#include <bit>

namespace realizar::vulkan {

namespace {

constexpr uint32_t kMostQueries = 4; // heads of a workgroup: their sums are in registers

} // namespace

bool runs_attention_decode(const Recorder &r, const AttentionOperands &o) {
    constexpr uint32_t kMostDepth = 256; // 32 threads of 8
    const uint32_t depth = o.k.max_inner();
    return r.features().decode_attention && o.tokens(r.symbols) <= kAttentionSplitTokens &&
           depth == o.v.max_inner() && depth <= kMostDepth && o.is_wide(r) &&
           r.address(o.q) % 16 == 0 && o.q.stride(1) % 4 == 0 && o.q.stride(2) % 4 == 0;
}

uint64_t decode_parts() { return kDecodeParts; }

void record_attention_decode(Recorder &r, const AttentionOperands &o) {
    const uint32_t tokens = o.tokens(r.symbols), heads = o.q.n2(), depth = o.k.max_inner();
    const uint32_t group = heads / o.k.n2();
    const uint32_t pieces = (group + kMostQueries - 1) / kMostQueries;
    const uint32_t queries = (group + pieces - 1) / pieces, columns = o.k.n2() * pieces;
    const uint32_t lanes = std::bit_ceil(depth / 8);
    const Tuning &tuning = r.tuning();
    const uint64_t keys = o.keys(r.symbols);
    const uint32_t splits = choose_decode_splits(tokens, tokens * columns, keys, tuning);
    const AttentionParams p = {
        .q = r.address(o.q),
        .k = r.address(o.k),
        .v = r.address(o.v),
        .table = r.address(o.table),
        .y = r.address(o.y),
        .parts = r.address(o.parts),
        .counters = r.address(o.counters),
        .q_token = o.q.stride(1),
        .q_head = o.q.stride(2),
        .sequences = o.pages.size(2, r.symbols),
        .k_cell = o.k.stride(1),
        .k_head = o.k.stride(2),
        .v_cell = o.v.stride(1),
        .v_head = o.v.stride(2),
        .tokens = tokens,
        .heads = heads,
        .group = group,
        .dk = depth,
        .dv = depth,
        .splits = splits,
        .scale = o.attr.scale,
        .softcap = o.attr.softcap,
    };
    r.expect_bytes(keys * tokens * o.k.n2() * depth * 4);
    r.dispatch("attention_decode", {depth, lanes, queries, tuning.attention_batch}, p,
               {tokens, columns, splits});
}

} // namespace realizar::vulkan
