// How one ATTENTION node is cut into tiles: tokens, key heads and parts of the keys.
#pragma once

#include "plugins/cpu/ops/op.h"

#include <algorithm>

namespace realizar::cpu {

constexpr int64_t kBlockQueries = 64; // queries of a tile: enough to pay for converting the keys
constexpr int64_t kSplitTokens = 8;   // submissions with more tokens have tiles enough
constexpr int64_t kSplitKeys = 256;   // a part has at least this many keys
struct AttentionViews {
    View q, k, v, positions, sequences, pages, lengths, sinks, out, parts;
    bool has_sinks = false;
    bool rotated_values = false; // a Q4_0 cache: the result is rotated back
};

class AttentionShape {
  public:
    AttentionShape(const Planner &planner, const Node &node)
        : attr_(attributes_of<rz_attr_attention>(node)),
          max_splits_(std::min<int64_t>(16, 2 * planner.threads())), threads_(planner.threads()) {
        const Region &r = planner.region();
        tokens_max_ = r.input(node, 0).dims[0];
        heads = r.input(node, 0).dims[1];
        key_heads = r.input(node, 1).dims[1];
        dk = r.input(node, 1).dims[2];
        dv = r.input(node, 2).dims[2];
        group = heads / key_heads;
        block = std::max<int64_t>(1, kBlockQueries / group);
    }

    // First and behind the last position that a query at `position` may see of `length` keys.
    int64_t first(int64_t position) const {
        if (attr_.window == 0) return 0;
        return std::max<int64_t>(0, position - attr_.window + 1);
    }
    int64_t last(int64_t position, int64_t length) const {
        return attr_.causal ? std::min(position + 1, length) : length;
    }
    int64_t length(const Run &run, const AttentionViews &v, int64_t sequence) const {
        int64_t limit = v.pages.max_elements() * int64_t{attr_.page_size};
        if (attr_.kv_symbol != RZ_NONE) limit = std::min(limit, run.symbols[attr_.kv_symbol]);
        return std::clamp<int64_t>(v.lengths.row<int32_t>(run, 0)[sequence], 0, limit);
    }
    int64_t sequences(const Run &run, const AttentionViews &v) const { return v.pages.steps(run); }
    int64_t longest(const Run &run, const AttentionViews &v) const {
        int64_t result = 0;
        for (int64_t s = 0; s < sequences(run, v); ++s)
            result = std::max(result, length(run, v, s));
        return result;
    }
    int64_t blocks(const Run &run, const AttentionViews &v) const {
        return (v.q.steps(run) + block - 1) / block;
    }
    int64_t splits(const Run &run, const AttentionViews &v) const {
        const int64_t tokens = v.q.steps(run);
        if (tokens == 0 || tokens > kSplitTokens || threads_ == 1) return 1;
        const int64_t wanted = (2 * threads_ - 1) / (key_heads * blocks(run, v)) + 1;
        return std::clamp<int64_t>(std::min(wanted, longest(run, v) / kSplitKeys), 1, max_splits_);
    }
    // One query's running state in a part: max, sum, acc[dv].
    int64_t part_floats() const { return dv + 2; }
    int64_t parts_bytes() const {
        return max_splits_ * std::min(kSplitTokens, tokens_max_) * heads * part_floats() * 4;
    }
    const rz_attr_attention &attr() const { return attr_; }

    int64_t heads, key_heads, dk, dv;
    int64_t group; // query heads of a key head
    int64_t block; // tokens of a tile

  private:
    rz_attr_attention attr_;
    int64_t max_splits_;
    int64_t threads_;
    int64_t tokens_max_;
};

} // namespace realizar::cpu
