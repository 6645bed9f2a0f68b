#include "plugins/opencl/ops/attention.h"

#include <algorithm>
#include <bit>

namespace realizar::opencl {

namespace {

constexpr uint32_t kMostDepth = 256; // 32 threads of 8

// Into how many parts the keys are cut; `groups`: workgroups without parts.
uint32_t choose_splits(const Recorder &r, uint32_t tokens, uint32_t groups, uint64_t keys) {
    // Joining parts costs as much as some blocks of keys, one after the other.
    constexpr uint64_t kKeysOfSplit = 64, kKeysOfOne = 256;
    if (keys <= kKeysOfOne) return 1;
    const uint32_t tuned = r.tuning().decode_groups;
    const uint64_t wanted = uint64_t{tuned ? tuned : 2} * r.units() / groups;
    const uint64_t most = std::min(kDecodeSplits, kDecodeParts / tokens);
    return static_cast<uint32_t>(
        std::max<uint64_t>(1, std::min({wanted, keys / kKeysOfSplit, most})));
}

// Query heads of a workgroup: their sums are in registers, and where nothing is shuffled their results
// in local memory, one for each thread.
uint32_t most_queries(const Recorder &r) {
    constexpr uint32_t kWanted = 2, kBytes = 40 << 10;
    return r.features().ptx || r.features().local_bytes >= kBytes ? kWanted : 1;
}

bool reads_eight(const Recorder &r, const View &cache) {
    return cache.dtype() == RZ_DTYPE_Q8_0 || cache.dtype() == RZ_DTYPE_Q4_0 ||
           AttentionOperands::is_wide(r, cache);
}

} // namespace

bool runs_attention_decode(const Recorder &r, const AttentionOperands &o) {
    const uint32_t depth = o.k.max_inner(), tokens = o.tokens(r.symbols);
    return tokens > 0 && tokens <= kSplitTokens && depth == o.v.max_inner() &&
           depth <= kMostDepth && reads_eight(r, o.k) && reads_eight(r, o.v) &&
           r.at(o.q) % 16 == 0 && o.q.stride(1) % 4 == 0 && o.q.stride(2) % 4 == 0;
}

void launch_attention_decode(Recorder &r, const AttentionOperands &o) {
    const uint32_t tokens = o.tokens(r.symbols), depth = o.k.max_inner();
    const uint32_t group = o.q.n2() / o.k.n2(), most = most_queries(r);
    const uint32_t pieces = (group + most - 1) / most;
    const uint32_t queries = (group + pieces - 1) / pieces, columns = o.k.n2() * pieces;
    const uint32_t splits = choose_splits(r, tokens, tokens * columns, o.keys(r.symbols));
    const bool joins = r.features().ptx;
    const uint32_t tuned = r.tuning().decode_batch, batch = r.on_cpu() ? 1 : tuned ? tuned : 4;
    const bool rotates = o.rotated_q || o.rotated_y;
    const std::string options =
        "-DTYPE_K=" + std::to_string(o.k.dtype()) + " -DTYPE_V=" + std::to_string(o.v.dtype()) +
        (rotates ? " -DRUN=" + std::to_string(rotated_run(depth)) : "") +
        " -DDEPTH=" + std::to_string(depth) +
        " -DLANES=" + std::to_string(std::bit_ceil(depth / 8)) +
        " -DQUERIES=" + std::to_string(queries) + " -DKEYS=" + std::to_string(batch) +
        (o.attr.softcap > 0 ? " -DSOFTCAP" : "") + (joins ? " -DJOIN" : "");
    const auto b = o.buffers(r);
    r.launch_joined("attention_decode", options, o.params(r, splits), {},
                    {b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], r.buffer(o.y),
                     r.buffer(o.parts), r.buffer(o.counters)},
                    {tokens, columns, splits});
    if (splits > 1 && !joins) launch_combine(r, o, splits);
}

bool runs_attention_mma(const Recorder &r, const AttentionOperands &o) {
    constexpr uint32_t kWidest = 128; // results of a thread are in registers
    const uint32_t depth = o.k.max_inner();
    return r.features().mma && o.tokens(r.symbols) > kSplitTokens && depth == o.v.max_inner() &&
           depth % 16 == 0 && depth <= kWidest && o.is_wide(r) && r.at(o.q) % 8 == 0 &&
           o.q.stride(1) % 2 == 0 && o.q.stride(2) % 2 == 0;
}

void launch_attention_mma(Recorder &r, const AttentionOperands &o) {
    constexpr uint32_t kTokens = 64, kKeys = 64; // of a workgroup; of a block
    const auto b = o.buffers(r);
    r.launch("attention_mma",
             "-DDEPTH=" + std::to_string(o.k.max_inner()) + " -DKEYS=" + std::to_string(kKeys),
             o.params(r, 1), {b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], r.buffer(o.y)},
             {(o.tokens(r.symbols) + kTokens - 1) / kTokens, o.q.n2()});
}

} // namespace realizar::opencl
