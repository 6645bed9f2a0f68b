// The decoder that most families share (Vaswani et al., arXiv:1706.03762, without the encoder):
//
//   sequential   x += attention(norm x);  x += feed_forward(norm x)
//   parallel     x += attention(norm x) + feed_forward(norm x)     (Wang and Komatsuzaki 2021)
//
// Norms may also stand behind the blocks, before the residual is added. What differs between families
// is in their Traits and in which tensors a file has.
//
// Shapes: T tokens, R rows that want logits, W width, V vocabulary.
#include "core/models/decoder.h"

#include "core/models/architectures.h"

namespace realizar {
namespace {

TensorId add_scaled(StepBuilder &step, TensorId x, TensorId block) {
    const float scale = step.config().residual_scale;
    GraphBuilder &g = step.graph();
    return g.add(x, scale == 1 ? block : g.scale(block, scale));
}

// Where a family has no norm at a place, x passes.
TensorId norm_at(StepBuilder &step, uint32_t layer, const char *name, TensorId x) {
    return name ? step.norm(layer_name(layer, name), x) : x;
}

TensorId sequential(StepBuilder &step, uint32_t layer, TensorId x, AttentionBlock attention) {
    const Traits &traits = step.config().traits;
    TensorId mixed = attention(step, layer, norm_at(step, layer, traits.before_attention, x));
    mixed = norm_at(step, layer, traits.behind_attention, mixed);
    x = step.wanted_rows(layer, add_scaled(step, x, mixed));
    TensorId forward = step.forward(layer, norm_at(step, layer, traits.before_forward, x));
    forward = norm_at(step, layer, traits.behind_forward, forward);
    return add_scaled(step, x, forward);
}

// The feed-forward network reads the norm of attention, or one of its own where the file has it.
TensorId parallel(StepBuilder &step, uint32_t layer, TensorId x, AttentionBlock attention) {
    const Traits &traits = step.config().traits;
    const std::string own_attention = layer_name(layer, "attn_norm_2");
    const std::string own_forward = layer_name(layer, traits.before_forward);
    const TensorId normed = norm_at(step, layer, traits.before_attention, x);
    const TensorId seen =
        step.has(own_attention + ".weight") ? step.norm(own_attention, x) : normed;
    const TensorId mixed = step.wanted_rows(layer, attention(step, layer, seen));
    x = step.wanted_rows(layer, x);
    const TensorId forward =
        step.forward(layer, step.has(own_forward + ".weight") ? step.norm(own_forward, x)
                                                              : step.wanted_rows(layer, normed));
    return add_scaled(step, add_scaled(step, x, mixed), forward);
}

// One layer may run its blocks side by side where the file says so, or where there is no second norm.
bool is_parallel(const StepBuilder &step, uint32_t layer) {
    const Traits &traits = step.config().traits;
    if (traits.parallel) return step.config().parallel_residual;
    return traits.parallel_without_norm &&
           !step.has(layer_name(layer, traits.before_forward) + ".weight");
}

} // namespace

TensorId decode_with(StepBuilder &step, AttentionBlock attention) {
    TensorId x = step.embedding(); // [T, W]
    for (uint32_t layer = 0; layer < step.config().layers; ++layer)
        x = is_parallel(step, layer) ? parallel(step, layer, x, attention)
                                     : sequential(step, layer, x, attention);
    return step.head(step.norm("output_norm", x)); // [R, V]
}

TensorId build_decoder(StepBuilder &step) {
    return decode_with(
        step, [](StepBuilder &s, uint32_t layer, TensorId x) { return s.attention(layer, x); });
}

} // namespace realizar
