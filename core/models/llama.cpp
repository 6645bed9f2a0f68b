// The Llama decoder (Touvron et al., arXiv:2302.13971): pre-norm blocks of grouped-query attention
// with RoPE and a SwiGLU feed-forward network. Attention biases are used where the file has them.
//
// Shapes: T tokens, W width, Hq / Hk query and key heads, D head width, F feed-forward width.
#include "core/models/architectures.h"

#include <cmath>

namespace realizar {
namespace {

TensorId attention(StepBuilder &step, uint32_t layer, TensorId x, TensorId rope_factors) {
    GraphBuilder &g = step.graph();
    const ModelConfig &c = step.config();
    const auto name = [&](const char *part) { return layer_name(layer, part); };

    TensorId q = step.linear(name("attn_q"), x, c.query_size()); // [T, Hq*D]
    TensorId k = step.linear(name("attn_k"), x, c.key_size());   // [T, Hk*D]
    TensorId v = step.linear(name("attn_v"), x, c.value_size()); // [T, Hk*D]
    q = g.rope(g.split_inner(q, c.key_width), step.positions(), rope_factors, c.rope);
    k = g.rope(g.split_inner(k, c.key_width), step.positions(), rope_factors, c.rope);
    v = g.split_inner(v, c.value_width);

    AttentionParams params;
    params.scale = 1.0f / std::sqrt(static_cast<float>(c.key_width));
    const TensorId mixed = step.cached_attention(layer, q, k, v, params); // [T, Hq*D]
    return step.linear(name("attn_output"), mixed, c.width);              // [T, W]
}

TensorId feed_forward(StepBuilder &step, uint32_t layer, TensorId x) {
    const ModelConfig &c = step.config();
    const TensorId gate = step.linear(layer_name(layer, "ffn_gate"), x, c.feed_forward); // [T, F]
    const TensorId up = step.linear(layer_name(layer, "ffn_up"), x, c.feed_forward);     // [T, F]
    const TensorId hidden = step.graph().glu(UnaryKind::silu, gate, up);
    return step.linear(layer_name(layer, "ffn_down"), hidden, c.width); // [T, W]
}

} // namespace

TensorId build_llama(StepBuilder &step) {
    GraphBuilder &g = step.graph();
    const ModelConfig &c = step.config();
    // Llama 3 stores its frequency scaling as one divisor per pair.
    const TensorId rope_factors = step.optional_vector("rope_freqs.weight", c.rope.rotated / 2);

    TensorId x = g.get_rows(step.matrix("token_embd.weight", c.vocabulary, c.width),
                            step.tokens()); // [T, W]
    for (uint32_t layer = 0; layer < c.layers; ++layer) {
        const TensorId normed = step.rms_norm(layer_name(layer, "attn_norm"), x);
        x = g.add(x, attention(step, layer, normed, rope_factors));
        if (layer + 1 == c.layers)
            x = step.logit_rows(x); // the rest only where it is wanted: [R, W]
        x = g.add(x, feed_forward(step, layer, step.rms_norm(layer_name(layer, "ffn_norm"), x)));
    }
    return step.head(step.rms_norm("output_norm", x)); // [R, V]
}

} // namespace realizar
