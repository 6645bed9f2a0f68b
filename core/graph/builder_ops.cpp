// The operators of GraphBuilder: each packs its attributes and adds a node.
#include "core/graph/builder.h"

#include "core/graph/layout.h"

namespace realizar {

TensorId GraphBuilder::op(uint32_t op, std::initializer_list<TensorId> inputs) {
    return node(op, std::span(inputs.begin(), inputs.size()));
}

template <class T>
TensorId GraphBuilder::op(uint32_t op, std::initializer_list<TensorId> inputs, T attributes) {
    attributes.struct_size = sizeof attributes;
    return node(op, std::span(inputs.begin(), inputs.size()),
                std::as_bytes(std::span(&attributes, 1)));
}

TensorId GraphBuilder::get_rows(TensorId table, TensorId ids) {
    return op(RZ_OP_GET_ROWS, {table, ids});
}

TensorId GraphBuilder::matmul(TensorId weight, TensorId x) { return op(RZ_OP_MATMUL, {weight, x}); }

TensorId GraphBuilder::add(TensorId a, TensorId b) { return op(RZ_OP_ADD, {a, b}); }

TensorId GraphBuilder::mul(TensorId a, TensorId b) { return op(RZ_OP_MUL, {a, b}); }

TensorId GraphBuilder::scale(TensorId x, float scale, float bias) {
    rz_attr_scale attr{};
    attr.scale = scale;
    attr.bias = bias;
    return op(RZ_OP_SCALE, {x}, attr);
}

TensorId GraphBuilder::rms_norm(TensorId x, TensorId weight, float epsilon) {
    rz_attr_norm attr{};
    attr.epsilon = epsilon;
    return op(RZ_OP_RMS_NORM, {x, weight}, attr);
}

TensorId GraphBuilder::layer_norm(TensorId x, TensorId weight, TensorId bias, float epsilon) {
    rz_attr_norm attr{};
    attr.epsilon = epsilon;
    return op(RZ_OP_LAYER_NORM, {x, weight, bias}, attr);
}

TensorId GraphBuilder::rope(TensorId x, TensorId positions, TensorId factors,
                            const RopeParams &params) {
    rz_attr_rope attr{};
    attr.pairing = params.halves ? RZ_ROPE_HALVES : RZ_ROPE_ADJACENT;
    attr.rotated = params.rotated;
    attr.base = params.base;
    attr.scale = params.scale;
    attr.extrapolation = params.extrapolation;
    attr.attention_factor = params.attention_factor;
    attr.beta_fast = params.beta_fast;
    attr.beta_slow = params.beta_slow;
    attr.original_context = params.original_context;
    return op(RZ_OP_ROPE, {x, positions, factors}, attr);
}

TensorId GraphBuilder::kv_write(TensorId cache, TensorId rows, TensorId cells) {
    return op(RZ_OP_KV_WRITE, {cache, rows, cells});
}

TensorId GraphBuilder::attention(TensorId q, TensorId k, TensorId v, const AttentionInputs &inputs,
                                 TensorId sinks, const AttentionParams &params) {
    rz_attr_attention attr{};
    attr.scale = params.scale;
    attr.softcap = params.softcap;
    attr.alibi_max_bias = params.alibi_max_bias;
    attr.causal = params.causal ? 1 : 0;
    attr.window = params.window;
    attr.page_size = params.page_size;
    attr.kv_symbol = params.kv_symbol;
    return op(RZ_OP_ATTENTION,
              {q, k, v, inputs.positions, inputs.sequences, inputs.pages, inputs.lengths, sinks},
              attr);
}

TensorId GraphBuilder::unary(UnaryKind kind, TensorId x) {
    rz_attr_unary attr{};
    attr.kind = static_cast<uint32_t>(kind);
    return op(RZ_OP_UNARY, {x}, attr);
}

TensorId GraphBuilder::glu(UnaryKind kind, TensorId gate, TensorId up) {
    rz_attr_unary attr{};
    attr.kind = static_cast<uint32_t>(kind);
    return op(RZ_OP_GLU, {gate, up}, attr);
}

TensorId GraphBuilder::softmax(TensorId x, float scale) {
    rz_attr_scale attr{};
    attr.scale = scale;
    return op(RZ_OP_SOFTMAX, {x}, attr);
}

TensorId GraphBuilder::argmax(TensorId x) { return op(RZ_OP_ARGMAX, {x}); }

GraphBuilder::TopK GraphBuilder::top_k(TensorId x, uint32_t k) {
    rz_attr_top_k attr{};
    attr.k = k;
    const TensorId values = op(RZ_OP_TOP_K, {x}, attr);
    return {values, values == kNoTensor ? kNoTensor : values + 1};
}

TensorId GraphBuilder::sample(TensorId logits, TensorId tokens, TensorId draws) {
    return op(RZ_OP_SAMPLE, {logits, tokens, draws});
}

TensorId GraphBuilder::copy(TensorId x, DType dtype) {
    const TensorId id = op(RZ_OP_COPY, {x});
    if (id == kNoTensor) return id;
    rz_tensor &tensor = graph_.tensors_[id];
    tensor.dtype = static_cast<rz_dtype>(dtype);
    set_contiguous_strides(tensor);
    return id;
}

TensorId GraphBuilder::clamp(TensorId x, float low, float high) {
    rz_attr_clamp attr{};
    attr.low = low;
    attr.high = high;
    return op(RZ_OP_CLAMP, {x}, attr);
}

TensorId GraphBuilder::concat(TensorId a, TensorId b) { return op(RZ_OP_CONCAT, {a, b}); }

GraphBuilder::Routes GraphBuilder::route(TensorId logits, TensorId bias,
                                         const RouteParams &params) {
    rz_attr_route attr{};
    attr.gating = params.sigmoid ? RZ_GATING_SIGMOID : RZ_GATING_SOFTMAX;
    attr.k = params.k;
    attr.groups = params.groups;
    attr.groups_used = params.groups_used;
    attr.group_top = params.group_top;
    attr.normalise = params.normalise ? 1 : 0;
    attr.scale = params.scale;
    const TensorId weights = op(RZ_OP_ROUTE, {logits, bias}, attr);
    return {weights, weights == kNoTensor ? kNoTensor : weights + 1};
}

TensorId GraphBuilder::expert_matmul(TensorId weight, TensorId x, TensorId experts, TensorId bias) {
    return op(RZ_OP_EXPERT_MATMUL, {weight, x, experts, bias});
}

TensorId GraphBuilder::weighted_sum(TensorId x, TensorId weights) {
    return op(RZ_OP_WEIGHTED_SUM, {x, weights});
}

// The state is the first result; what follows it is the newest tensor.
TensorId GraphBuilder::second_result(TensorId first) const {
    return first == kNoTensor ? kNoTensor : static_cast<TensorId>(graph_.tensors_.size() - 1);
}

TensorId GraphBuilder::ssm_conv(TensorId state, TensorId x, TensorId weight, TensorId bias,
                                const RowPlaces &rows) {
    return second_result(
        op(RZ_OP_SSM_CONV, {state, x, weight, rows.positions, rows.sequences, bias}));
}

TensorId GraphBuilder::ssm_scan(TensorId state, const ScanInputs &inputs, const RowPlaces &rows) {
    return second_result(op(RZ_OP_SSM_SCAN, {state, inputs.x, inputs.dt, inputs.a, inputs.b,
                                             inputs.c, rows.positions, rows.sequences, inputs.d}));
}

} // namespace realizar
