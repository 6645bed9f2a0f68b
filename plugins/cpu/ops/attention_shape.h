// How one ATTENTION node is cut into tiles: tokens, key heads and parts of the keys.
//
// A step with few tokens, each of a sequence of its own or nearly so, is direct: a tile is a token, a part
// of the keys it sees and a set of key heads next to each other in memory, so that the cache is read in
// order. Else a tile is a block of tokens and a key head, and with few tokens a part of the keys.
#pragma once

#include "plugins/cpu/ops/op.h"

#include <algorithm>

namespace realizar::cpu {

constexpr int64_t kBlockQueries = 64; // queries of a tile: enough to pay for converting the keys
constexpr int64_t kManyQueries = 6;   // from so many on, vectors have queries as lanes
constexpr int64_t kDirectTokens = 32; // at most, in a direct step
constexpr int64_t kSplitTokens = 8;   // steps with more tokens have tiles enough
constexpr int64_t kSplitKeys = 256;   // a part has at least this many keys
constexpr int64_t kSetBytes =
    1 << 17; // of a chunk of keys and values: two of them fit the second cache

struct AttentionViews {
    View q, k, v, positions, sequences, pages, lengths, sinks, out, parts;
    bool has_sinks = false;
    bool rotated_keys = false,
         rotated_values = false; // a Q4_0 cache: queries and results are rotated
};

struct AttentionGrid {
    bool direct;
    int64_t blocks, splits,
        sets; // tiles: their product; a set has set_heads key heads, the last fewer
    int64_t set_heads;
    int64_t tiles() const { return blocks * splits * sets; }
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
        const auto bytes = static_cast<int64_t>(kAttentionChunk) *
                           (r.input(node, 1).row_bytes() + r.input(node, 2).row_bytes());
        most_set_heads = std::clamp<int64_t>(kSetBytes / std::max<int64_t>(bytes, 1), 1, key_heads);
    }

    // First and behind the last position that a query at `position` may see of `length` keys.
    int64_t first(int64_t position) const {
        if (attr_.window == 0) return 0;
        return std::max<int64_t>(0, position - attr_.window + 1);
    }
    int64_t last(int64_t position, int64_t length) const {
        return attr_.causal ? std::min(position + 1, length) : length;
    }
    // 0 for no sequence of this step.
    int64_t length(const Run &run, const AttentionViews &v, int64_t sequence) const {
        if (sequence < 0 || sequence >= v.pages.steps(run)) return 0;
        int64_t limit = v.pages.max_elements() * int64_t{attr_.page_size};
        if (attr_.kv_symbol != RZ_NONE) limit = std::min(limit, run.symbols[attr_.kv_symbol]);
        return std::clamp<int64_t>(v.lengths.row<int32_t>(run, 0)[sequence], 0, limit);
    }
    // The most keys that a token sees, or a little more.
    int64_t longest(const Run &run, const AttentionViews &v) const {
        int64_t result = 0;
        for (int64_t s = 0; s < v.pages.steps(run); ++s)
            result = std::max(result, length(run, v, s));
        return attr_.window ? std::min<int64_t>(result, attr_.window) : result;
    }
    AttentionGrid grid(const Run &run, const AttentionViews &v) const;
    // One query's running state in a part: max, sum, acc[dv].
    int64_t part_floats() const { return dv + 2; }
    int64_t parts_bytes() const {
        return max_splits_ * std::min(kSplitTokens, tokens_max_) * heads * part_floats() * 4;
    }
    // Of the step's parts, one behind the other: the one of a split, token and query head.
    float *part(const Run &run, const AttentionViews &v, int64_t split, int64_t token,
                int64_t head) const {
        return v.parts.row(run, 0) +
               ((split * v.q.steps(run) + token) * heads + head) * part_floats();
    }
    const rz_attr_attention &attr() const { return attr_; }

    int64_t heads, key_heads, dk, dv;
    int64_t group;          // query heads of a key head
    int64_t block;          // tokens of a tile that is not direct
    int64_t most_set_heads; // key heads of a direct tile

  private:
    bool direct(const Run &run, const AttentionViews &v) const;

    rz_attr_attention attr_;
    int64_t max_splits_;
    int64_t threads_;
    int64_t tokens_max_;
};

// Writes the state of a query: into its part when keys are split, else as the result.
struct AttentionState {
    float max, sum;
    const float *acc;
};
void store_attention(const Run &run, const AttentionShape &shape, const AttentionViews &views,
                     const AttentionState &state, int64_t token, int64_t head, int64_t split,
                     int64_t splits);
// The result from the state; `state.acc` may be the result's memory.
void finish_attention(const Run &run, const AttentionShape &shape, const AttentionViews &views,
                      const AttentionState &state, int64_t token, int64_t head);
// Slopes of ALiBi for all query heads; empty: none.
std::vector<float> attention_slopes(const AttentionShape &shape);

} // namespace realizar::cpu
