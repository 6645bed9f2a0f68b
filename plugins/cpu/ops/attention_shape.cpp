#include "plugins/cpu/ops/attention_shape.h"

#include "plugins/cpu/ops/rotated_cache.h"

#include <cmath>
#include <limits>

namespace realizar::cpu {

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace

// Tokens of one sequence share the conversion of their keys when they are taken together: worth it from
// kManyQueries queries on.
bool AttentionShape::direct(const Run &run, const AttentionViews &v) const {
    const int64_t tokens = v.q.steps(run);
    if (tokens > kDirectTokens) return false;
    if (tokens * group < kManyQueries) return true;
    const auto *sequences = v.sequences.row<int32_t>(run, 0);
    for (int64_t t = 1; t < tokens; ++t)
        if (sequences[t] == sequences[t - 1] && sequences[t] >= 0) return false;
    return true;
}

AttentionGrid AttentionShape::grid(const Run &run, const AttentionViews &v) const {
    const int64_t tokens = v.q.steps(run);
    AttentionGrid g{direct(run, v), tokens, 1, 1, key_heads};
    if (tokens == 0) return g;
    if (g.direct) {
        g.sets = ceil_div(key_heads, most_set_heads);
    } else {
        g.blocks = ceil_div(tokens, block);
        g.sets = key_heads;
    }
    if (threads_ > 1 && tokens <= kSplitTokens) {
        const int64_t wanted = ceil_div(2 * threads_, g.blocks * g.sets);
        const int64_t fit = longest(run, v) / kSplitKeys;
        g.splits = std::clamp<int64_t>(std::min(wanted, fit), 1, max_splits_);
    }
    // Few keys: threads get heads.
    if (g.direct) g.sets = std::clamp(ceil_div(threads_, g.blocks * g.splits), g.sets, key_heads);
    g.set_heads = ceil_div(key_heads, g.sets);
    g.sets = ceil_div(key_heads, g.set_heads);
    return g;
}

void finish_attention(const Run &run, const AttentionShape &shape, const AttentionViews &views,
                      const AttentionState &state, int64_t token, int64_t head) {
    float factor = 0.0f;
    if (views.has_sinks && state.max != -kInf) {
        const float sink = views.sinks.row(run, 0)[head], top = std::max(state.max, sink);
        const float scale = std::exp(state.max - top);
        factor = scale / (state.sum * scale + std::exp(sink - top));
    } else if (state.sum != 0.0f) {
        factor = 1.0f / state.sum;
    }
    float *out = views.out.row(run, token, head);
    for (int64_t i = 0; i < shape.dv; ++i)
        out[i] = state.acc[i] * factor;
    if (views.rotated_values) rotate_row(out, static_cast<uint64_t>(shape.dv));
}

void store_attention(const Run &run, const AttentionShape &shape, const AttentionViews &views,
                     const AttentionState &state, int64_t token, int64_t head, int64_t split,
                     int64_t splits) {
    if (splits == 1) return finish_attention(run, shape, views, state, token, head);
    float *part = shape.part(run, views, split, token, head);
    part[0] = state.max;
    part[1] = state.sum;
    std::copy_n(state.acc, shape.dv, part + 2);
}

std::vector<float> attention_slopes(const AttentionShape &shape) {
    std::vector<float> result;
    const double bias = shape.attr().alibi_max_bias;
    if (!(bias > 0)) return result;
    int64_t n = 1;
    while (2 * n <= shape.heads)
        n *= 2;
    for (int64_t h = 0; h < shape.heads; ++h) {
        const auto at = static_cast<double>(h < n ? h + 1 : 2 * (h - n) + 1);
        const double rate = h < n ? bias : bias / 2;
        result.push_back(static_cast<float>(std::exp2(-rate * at / static_cast<double>(n))));
    }
    return result;
}

} // namespace realizar::cpu
