// DeepSeek-V2 and V3 (arXiv:2405.04434, arXiv:2412.19437): latent attention, then the general decoder.
//
// Keys and values of all heads come from one latent vector per token. Where the file has the matrices
// split by head, they are absorbed into query and output: the cache then holds only the latent vector
// and the rotated part of the key, one head for all. Older files have them joined; then the cache holds
// each head's own keys and values.
//
// Shapes: T tokens, H heads, N unrotated and P rotated width of a key, L latent width, D value width.
#include "core/models/architectures.h"
#include "core/models/decoder.h"

namespace realizar {
namespace {

struct Query {
    TensorId plain, rotated; // [T, H, N], [T, H, P]
};

Query queries(StepBuilder &step, uint32_t layer, TensorId x) {
    GraphBuilder &g = step.graph();
    const ModelConfig &c = step.config();
    const LatentConfig &latent = c.latent;
    const int64_t size = int64_t{c.heads} * latent.key_width;
    TensorId q = kNoTensor; // [T, H * (N + P)]
    if (latent.q_rank > 0) {
        const TensorId low = step.linear(layer_name(layer, "attn_q_a"), x, latent.q_rank);
        const TensorId normed = step.rms_norm(layer_name(layer, "attn_q_a_norm"), low);
        q = step.linear(layer_name(layer, "attn_q_b"), normed, size);
    } else {
        q = step.linear(layer_name(layer, "attn_q"), x, size);
    }
    q = g.split_inner(q, latent.key_width);
    const int64_t rotated = c.rope.rotated, plain = latent.key_width - rotated;
    return {g.slice_inner(q, 0, plain), step.rope(layer, g.slice_inner(q, plain, rotated))};
}

// x [T, H, columns] times one matrix per head: [T, H, rows].
TensorId per_head(StepBuilder &step, const std::string &name, TensorId x, int64_t rows) {
    GraphBuilder &g = step.graph();
    const TensorId w =
        step.stack(name, step.config().heads, rows, g.shape(x).inner()); // [H, rows, columns]
    return g.expert_matmul(w, x, kNoTensor, kNoTensor);
}

TensorId latent_attention(StepBuilder &step, uint32_t layer, TensorId x) {
    GraphBuilder &g = step.graph();
    const ModelConfig &c = step.config();
    const LatentConfig &latent = c.latent;
    const int64_t rotated = c.rope.rotated, plain = latent.key_width - rotated;
    const int64_t rows = g.shape(x).dims[0];
    const Query q = queries(step, layer, x);

    const TensorId both =
        step.linear(layer_name(layer, "attn_kv_a_mqa"), x, latent.kv_rank + rotated); // [T, L + P]
    const TensorId compressed = step.rms_norm(layer_name(layer, "attn_kv_a_norm"),
                                              g.slice_inner(both, 0, latent.kv_rank)); // [T, L]
    const TensorId k_rotated = step.rope(
        layer, g.split_inner(g.slice_inner(both, latent.kv_rank, rotated), rotated)); // [T, 1, P]

    TensorId mixed = kNoTensor; // [T, H, D]
    if (step.has(layer_name(layer, "attn_k_b.weight"))) {
        const TensorId absorbed =
            per_head(step, layer_name(layer, "attn_k_b.weight"), q.plain, latent.kv_rank);
        const TensorId one = g.reshape(compressed, {rows, 1, latent.kv_rank});
        mixed = step.cached_attention(
            layer, {g.concat(absorbed, q.rotated), g.concat(one, k_rotated), kNoTensor});
        mixed = per_head(step, layer_name(layer, "attn_v_b.weight"), mixed, latent.value_width);
    } else {
        const int64_t width = plain + latent.value_width;
        const TensorId kv = g.split_inner(
            step.linear(layer_name(layer, "attn_kv_b"), compressed, int64_t{c.heads} * width),
            width);
        mixed = step.cached_attention(layer, {g.concat(q.plain, q.rotated),
                                              g.concat(g.slice_inner(kv, 0, plain), k_rotated),
                                              g.slice_inner(kv, plain, latent.value_width)});
    }
    const TensorId flat = g.reshape(mixed, {rows, int64_t{c.heads} * latent.value_width});
    return step.linear(layer_name(layer, "attn_output"), flat, c.width); // [T, W]
}

} // namespace

TensorId build_deepseek2(StepBuilder &step) { return decode_with(step, latent_attention); }

} // namespace realizar
