// Feed-forward networks and mixtures of experts.
//
// Shapes: T tokens, W width, F feed-forward width, E experts, K of them chosen per token.
#include "core/models/layers.h"

namespace realizar {
namespace {

// SwiGLU with bounded inputs, x sigmoid(1.702 x) as gate and one added to the other factor
// (gpt-oss model card, arXiv:2508.10925).
constexpr float kClampedLimit = 7.0f;
constexpr float kLowest = -3.0e38f; // no bound

TensorId activate(GraphBuilder &g, const Traits &traits, TensorId gate, TensorId up) {
    if (traits.forward != ForwardKind::clamped) return g.glu(traits.activation, gate, up);
    const TensorId bounded = g.clamp(up, -kClampedLimit, kClampedLimit);
    return g.glu(UnaryKind::gelu_quick, g.clamp(gate, kLowest, kClampedLimit),
                 g.scale(bounded, 1, 1));
}

} // namespace

// Tensors "ffn_gate<part>", "ffn_up<part>" and "ffn_down<part>".
TensorId StepBuilder::gated(uint32_t layer, const std::string &part, TensorId x, int64_t size) {
    const auto name = [&](const char *which) { return layer_name(layer, which) + part; };
    const TensorId gate = linear(name("ffn_gate"), x, size); // [T, F]
    const TensorId up = linear(name("ffn_up"), x, size);     // [T, F]
    return linear(name("ffn_down"), activate(graph_, config_.traits, gate, up), config_.width);
}

TensorId StepBuilder::forward(uint32_t layer, TensorId x) {
    if (config_.has_experts(layer)) return experts(layer, x);
    const int64_t size = config_.feed_forward;
    const auto name = [&](const char *part) { return layer_name(layer, part); };
    switch (config_.traits.forward) {
    case ForwardKind::gated:
    case ForwardKind::clamped: return gated(layer, "", x, size);
    case ForwardKind::fused: {
        const TensorId both = linear(name("ffn_up"), x, 2 * size); // [T, 2F]
        const TensorId gate = graph_.slice_inner(both, 0, size);
        const TensorId up = graph_.slice_inner(both, size, size);
        return linear(name("ffn_down"), activate(graph_, config_.traits, gate, up), config_.width);
    }
    case ForwardKind::plain: break;
    }
    const TensorId up = linear(name("ffn_up"), x, size); // [T, F]
    return linear(name("ffn_down"), graph_.unary(config_.traits.activation, up), config_.width);
}

// x [T, 1 or K, columns] through the matrices that `chosen` [T, K] names: [T, K, rows].
TensorId StepBuilder::expert_linear(const std::string &name, TensorId x, TensorId chosen,
                                    int64_t rows) {
    const int64_t count = config_.experts.count, columns = graph_.shape(x).inner();
    const TensorId bias = has(name + ".bias") ? table(name + ".bias", count, rows) : kNoTensor;
    return graph_.expert_matmul(stack(name + ".weight", count, rows, columns), x, chosen, bias);
}

// Each token goes through the experts that the router picks (Shazeer et al., arXiv:1701.06538).
TensorId StepBuilder::experts(uint32_t layer, TensorId x) {
    const ExpertConfig &e = config_.experts;
    const auto name = [&](const char *part) { return layer_name(layer, part); };
    const TensorId logits = linear(name("ffn_gate_inp"), x, e.count); // [T, E]
    const auto [weights, chosen] = graph_.route(
        logits, optional_vector(name("exp_probs_b.bias"), e.count), e.route); // [T, K] each
    const int64_t rows = graph_.shape(x).dims[0];
    const TensorId each = graph_.reshape(x, {rows, 1, config_.width});
    // Some files name the width of an expert, all show it.
    int64_t size = e.feed_forward;
    if (size == 0) size = shape_of(name("ffn_up_exps.weight")).dims[1];
    if (size == 0) size = config_.feed_forward;
    const TensorId gate = expert_linear(name("ffn_gate_exps"), each, chosen, size);
    const TensorId up = expert_linear(name("ffn_up_exps"), each, chosen, size);
    const TensorId hidden = activate(graph_, config_.traits, gate, up); // [T, K, F]
    const TensorId out = expert_linear(name("ffn_down_exps"), hidden, chosen, config_.width);
    const TensorId mixed = graph_.weighted_sum(out, weights); // [T, W]
    const bool shared = e.shared_feed_forward > 0 || has(name("ffn_up_shexp.weight"));
    return shared ? graph_.add(mixed, shared_expert(layer, x)) : mixed;
}

// The expert that all tokens take, perhaps with a gate of its own.
TensorId StepBuilder::shared_expert(uint32_t layer, TensorId x) {
    int64_t size = config_.experts.shared_feed_forward;
    if (size == 0) size = shape_of(layer_name(layer, "ffn_up_shexp.weight")).dims[0];
    const TensorId out = gated(layer, "_shexp", x, size); // [T, W]
    const std::string gate = layer_name(layer, "ffn_gate_inp_shexp");
    if (!has(gate + ".weight")) return out;
    // The file has the gate's weights as a matrix of one row or as a vector.
    const int64_t width = config_.width;
    const TensorId weight = shape_of(gate + ".weight").rank == 1
                                ? graph_.reshape(vector(gate + ".weight", width), {1, width})
                                : matrix(gate + ".weight", 1, width);
    const TensorId logit = graph_.matmul(weight, x); // [T, 1]
    const int64_t rows = graph_.shape(x).dims[0];
    return graph_.weighted_sum(graph_.reshape(out, {rows, 1, config_.width}),
                               graph_.unary(UnaryKind::sigmoid, logit));
}

} // namespace realizar
