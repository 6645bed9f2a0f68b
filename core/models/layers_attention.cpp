// Attention: projections, norms of heads, RoPE and the cache.
#include "core/models/layers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace realizar {
namespace {

// Divisors of the frequencies for YaRN (arXiv:2309.00071) whose ramp begins and ends between two
// pairs; ROPE itself rounds its ends to whole pairs.
std::vector<float> exact_yarn_factors(const RopeParams &rope) {
    const double rotated = rope.rotated, base = rope.base;
    const auto end = [&](double beta) {
        const double pair = rotated *
                            std::log(rope.original_context / (beta * 2 * std::numbers::pi)) /
                            (2 * std::log(base));
        return std::clamp(pair, 0.0, rotated - 1);
    };
    const double low = end(rope.beta_fast), high = std::max(end(rope.beta_slow), low + 0.001);
    std::vector<float> factors;
    for (uint32_t i = 0; i < rope.rotated / 2; ++i) {
        const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
        factors.push_back(static_cast<float>(1 / (rope.scale * ramp + (1 - ramp))));
    }
    return factors;
}

} // namespace

TensorId StepBuilder::clamp(TensorId x) {
    return config_.clamp_qkv > 0 ? graph_.clamp(x, -config_.clamp_qkv, config_.clamp_qkv) : x;
}

Heads StepBuilder::project(uint32_t layer, TensorId x) {
    const ModelConfig &c = config_;
    const auto name = [&](const char *part) { return layer_name(layer, part); };
    Heads heads{};
    if (has(name("attn_qkv.weight"))) {
        const int64_t q = c.query_size(), k = c.key_size(), v = c.value_size();
        const TensorId all = clamp(linear(name("attn_qkv"), x, q + k + v)); // [T, q + k + v]
        heads = {graph_.slice_inner(all, 0, q), graph_.slice_inner(all, q, k),
                 graph_.slice_inner(all, q + k, v)};
    } else {
        heads = {clamp(linear(name("attn_q"), x, c.query_size())),
                 clamp(linear(name("attn_k"), x, c.key_size())),
                 clamp(linear(name("attn_v"), x, c.value_size()))};
    }
    heads.q = norm_heads(name("attn_q_norm"), heads.q);
    heads.k = norm_heads(name("attn_k_norm"), heads.k);
    heads.v = graph_.split_inner(heads.v, c.value_width);
    return heads;
}

// Where the file has such a norm: over whole rows, over each head with shared weights, or over each
// head with its own. x [T, H*D] -> [T, H, D]
TensorId StepBuilder::norm_heads(const std::string &name, TensorId x) {
    const int64_t row = graph_.shape(x).inner(), width = config_.key_width;
    const Shape weight = shape_of(name + ".weight");
    if (weight.rank == 1 && weight.dims[0] == row && row != width)
        return graph_.split_inner(norm(name, x), width);
    x = graph_.split_inner(x, width);
    if (weight.rank == 0) return x;
    if (weight.rank == 1) return norm(name, x);
    x = graph_.layer_norm(x, kNoTensor, kNoTensor, config_.norm_epsilon);
    return graph_.mul(x, table(name + ".weight", row / width, width));
}

// Divisors of RoPE's frequencies in the file (Llama 3: one set; LongRoPE, arXiv:2402.13753: one for the
// context of the training and one for longer ones): the tensor's name, or nothing.
std::string StepBuilder::rope_factors(uint32_t layer) const {
    const bool longer =
        uint64_t{shape_.pages} * shape_.page_size > uint64_t{config_.original_context};
    const std::string by_length = longer ? "rope_factors_long.weight" : "rope_factors_short.weight";
    for (const std::string &name : {std::string("rope_freqs.weight"), by_length}) {
        if (has(name)) return name;
        const std::string own = layer_name(layer, name.c_str());
        if (has(own)) return own;
    }
    return "";
}

LayerRope StepBuilder::layer_rope(uint32_t layer) const {
    LayerRope rope;
    rope.params = config_.windows[layer] > 0 ? config_.window_rope : config_.rope;
    rope.tensor = rope_factors(layer);
    if (!config_.traits.exact_yarn) return rope;
    if (rope.tensor.empty() && config_.rope.extrapolation != 0)
        rope.computed = exact_yarn_factors(config_.rope);
    if (rope.params.extrapolation != 0) {
        rope.params.attention_factor *= 1 + 0.1f * std::log(1 / rope.params.scale);
        rope.params.scale = 1;
        rope.params.extrapolation = 0;
    }
    return rope;
}

TensorId StepBuilder::rope(uint32_t layer, TensorId x) {
    if (!config_.has_rope(layer)) return x;
    const LayerRope rope = layer_rope(layer);
    TensorId factors = kNoTensor;
    if (!rope.tensor.empty()) factors = vector(rope.tensor, rope.params.rotated / 2);
    if (!rope.computed.empty()) factors = constant("rope.yarn", rope.computed);
    return graph_.rope(x, rope_positions_, factors, rope.params);
}

TensorId StepBuilder::attention(uint32_t layer, TensorId x) {
    Heads heads = project(layer, x);
    heads.q = rope(layer, heads.q);
    heads.k = rope(layer, heads.k);
    const TensorId mixed = cached_attention(layer, heads); // [T, Hq, Dv]
    const int64_t rows = graph_.shape(x).dims[0];
    const TensorId flat =
        graph_.reshape(mixed, {rows, int64_t{config_.heads} * config_.value_width});
    return linear(layer_name(layer, "attn_output"), flat, config_.width);
}

TensorId StepBuilder::cached_attention(uint32_t layer, const Heads &heads) {
    const bool window = config_.windows[layer] > 0 && window_cells_ != kNoTensor;
    const StateKind kind = window ? StateKind::window_cells : StateKind::cells;
    const TensorId cells = window ? window_cells_ : cells_;
    AttentionInputs inputs = attention_;
    if (window) inputs.pages = window_pages_;

    const auto append = [&](const char *name, DType dtype, TensorId rows, uint32_t which) {
        const int64_t count = window ? shape_.window_cells : shape_.cells;
        const TensorId cache = graph_.state(layer_name(layer, name), dtype,
                                            {count, config_.kv_heads, graph_.shape(rows).inner()},
                                            state_key(layer, which, kind));
        return graph_.kv_write(cache, rows, cells);
    };
    const TensorId keys = append("cache_k", shape_.key_type, heads.k, 0);
    const TensorId values = heads.v == kNoTensor ? graph_.slice_inner(keys, 0, config_.value_width)
                                                 : append("cache_v", shape_.value_type, heads.v, 1);
    AttentionParams params;
    params.scale = config_.attention_scale;
    params.softcap = config_.attention_softcap;
    params.alibi_max_bias = config_.alibi_max_bias;
    params.window = config_.windows[layer];
    params.page_size = shape_.page_size;
    params.kv_symbol = RZ_SYMBOL_INDEX(kv_symbol_);
    const TensorId sinks = optional_vector(layer_name(layer, "attn_sinks.weight"), config_.heads);
    return graph_.attention(heads.q, keys, values, inputs, sinks, params);
}

} // namespace realizar
