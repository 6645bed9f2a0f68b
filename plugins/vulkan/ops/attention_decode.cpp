#include "plugins/vulkan/ops/attention.h"

#include "plugins/vulkan/plan/choose.h"

#include <algorithm>
#include <bit>

namespace realizar::vulkan {

namespace {

constexpr uint32_t kMostQueries = 2; // heads of a workgroup: their sums are in registers

} // namespace

bool runs_attention_decode(const Recorder &r, const AttentionOperands &o) {
    constexpr uint32_t kMostDepth = 256; // 32 threads of 8
    const uint32_t depth = o.k.max_inner();
    return r.features().decode_attention && o.tokens(r.symbols) <= kAttentionSplitTokens &&
           o.pages.stride(2) == o.pages.max_inner() && depth == o.v.max_inner() &&
           depth <= kMostDepth && o.is_wide(r) && r.address(o.q) % 16 == 0 &&
           o.q.stride(1) % 4 == 0 && o.q.stride(2) % 4 == 0;
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
    const AttentionDecodeParams p = {
        .q = r.address(o.q),
        .k = r.address(o.k),
        .v = r.address(o.v),
        .y = r.address(o.y),
        .parts = r.address(o.parts),
        .counters = r.address(o.counters),
        .positions = r.address(o.positions),
        .sequences = r.address(o.sequences),
        .pages = r.address(o.pages),
        .lengths = r.address(o.lengths),
        .sinks = o.sinks ? r.address(*o.sinks) : 0,
        .slopes = o.slopes ? r.address(*o.slopes) : 0,
        .tokens = tokens,
        .splits = splits,
        .scale = o.attr.scale,
        .softcap = o.attr.softcap,
        .link = {},
    };
    r.expect_bytes(keys * tokens * o.k.n2() * depth * 4);
    const uint32_t constants[] = {depth,
                                  lanes,
                                  queries,
                                  tuning.attention_batch,
                                  heads,
                                  group,
                                  o.q.stride(1),
                                  o.q.stride(2),
                                  o.k.stride(1),
                                  o.k.stride(2),
                                  o.v.stride(1),
                                  o.v.stride(2),
                                  o.attr.page_size,
                                  o.pages.max_inner(),
                                  o.pages.size(2, r.symbols),
                                  o.k.max_size(1),
                                  std::min(o.attr.window, 0x7fffffffu),
                                  o.attr.causal ? 1u : 0u};
    r.dispatch_linked("attention_decode", constants, p, {tokens, columns, splits});
}

} // namespace realizar::vulkan
