// One check per operator of backend.h, section 5, and the table of all.
#include "plugins/common/contract_layers.h"

namespace realizar::plugin {

namespace {

void check_get_rows(const Region &region, const Node &node, Verdict &v) {
    const Tensor &table = region.input(node, 0), &ids = region.input(node, 1);
    const Tensor &y = region.output(node, 0);
    v.support(is_int(ids) && is_f32(y), "ids I32 and output F32");
    v.require(table.rank == 2 && ids.rank == 1 && y.rank == 2 && same_dim(y, 0, ids, 0) &&
                  same_dim(y, 1, table, 1),
              "table [N, D], ids [T] -> [T, D]");
}

void check_matmul(const Region &region, const Node &node, Verdict &v) {
    const Tensor &w = region.input(node, 0), &x = region.input(node, 1);
    const Tensor &y = region.output(node, 0);
    v.support(is_f32(x) && is_f32(y), "x and output in F32");
    bool shapes = w.rank == 2 && x.rank == y.rank && same_dim(x, x.rank - 1, w, 1) &&
                  same_dim(y, y.rank - 1, w, 0);
    for (uint32_t d = 0; shapes && d + 1 < x.rank; ++d)
        shapes = same_dim(x, d, y, d);
    v.require(shapes, "w [N, K], x [..., K] -> [..., N]");
}

void check_binary(const Region &region, const Node &node, Verdict &v) {
    const Tensor &a = region.input(node, 0), &b = region.input(node, 1);
    v.support(is_f32(b) && is_f32(region.output(node, 0)), "F32 operands");
    v.require(trailing_shape(a, b), "b with the shape of a or its trailing dimensions");
    v.require(same_shape(a, region.output(node, 0)), "an output like a");
}

void check_like(const Region &region, const Node &node, Verdict &v) {
    v.support(is_f32(region.output(node, 0)), "F32 operands");
    v.require(same_shape(region.input(node, 0), region.output(node, 0)), "an output like x");
}

void check_activation(const Region &region, const Node &node, Verdict &v) {
    check_like(region, node, v);
    const uint32_t kind = attributes_of<rz_attr_unary>(node).kind;
    v.support(kind >= RZ_UNARY_SILU && kind <= RZ_UNARY_TANH, "a known kind of activation");
    if (node.inputs.size() < 2) return;
    v.support(is_f32(region.input(node, 1)), "F32 operands");
    v.require(same_shape(region.input(node, 0), region.input(node, 1)), "up like gate");
}

void check_norm(const Region &region, const Node &node, Verdict &v) {
    const Tensor &x = region.input(node, 0);
    check_like(region, node, v);
    for (size_t i = 1; i < node.inputs.size(); ++i) {
        if (!region.has_input(node, i)) continue;
        v.support(is_f32(region.input(node, i)), "F32 operands");
        v.require(is_vector(region.input(node, i), x.inner()), "weight and bias [D]");
    }
}

void check_softmax(const Region &region, const Node &node, Verdict &v) {
    check_like(region, node, v);
    v.require(attributes_of<rz_attr_scale>(node).bias == 0.0f, "a bias of 0");
}

void check_rope(const Region &region, const Node &node, Verdict &v) {
    const Tensor &x = region.input(node, 0), &positions = region.input(node, 1);
    const Tensor &y = region.output(node, 0);
    const auto a = attributes_of<rz_attr_rope>(node);
    v.support(is_int(positions) && is_f32(y), "x F32 and positions I32");
    v.support(a.pairing == RZ_ROPE_ADJACENT || a.pairing == RZ_ROPE_HALVES, "a known pairing");
    v.require(x.rank == 3 && positions.rank == 1 && same_dim(x, 0, positions, 0) &&
                  same_shape(x, y),
              "x [T, H, D], positions [T], an output like x");
    v.require(a.rotated >= 2 && a.rotated % 2 == 0 && a.rotated <= x.inner(),
              "an even number of rotated elements within a head");
    if (region.has_input(node, 2)) {
        v.support(is_f32(region.input(node, 2)), "factors F32");
        v.require(is_vector(region.input(node, 2), a.rotated / 2), "factors [rotated / 2]");
    }
}

void check_kv_write(const Region &region, const Node &node, Verdict &v) {
    const Tensor &cache = region.input(node, 0), &x = region.input(node, 1);
    const Tensor &cells = region.input(node, 2);
    v.support(is_f32(x) && is_int(cells), "rows F32 and cells I32");
    v.require(cache.role == RZ_ROLE_STATE && node.outputs[0] == node.inputs[0],
              "a STATE as cache and output");
    v.require(cache.rank == 3 && x.rank == 3 && cells.rank == 1 && same_dim(x, 0, cells, 0) &&
                  same_dim(x, 1, cache, 1) && same_dim(x, 2, cache, 2),
              "cache [C, H, D], rows [T, H, D], cells [T]");
    v.require(x.storage != cache.storage, "rows outside the cache");
}

void check_attention_shapes(const Region &region, const Node &node, Verdict &v) {
    const Tensor &q = region.input(node, 0), &k = region.input(node, 1);
    const Tensor &val = region.input(node, 2), &positions = region.input(node, 3);
    const Tensor &sequences = region.input(node, 4), &pages = region.input(node, 5);
    const Tensor &lengths = region.input(node, 6), &y = region.output(node, 0);
    v.require(k.role == RZ_ROLE_STATE && val.role == RZ_ROLE_STATE, "keys and values in a STATE");
    v.require(q.rank == 3 && k.rank == 3 && val.rank == 3 && y.rank == 3 && same_dim(k, 2, q, 2) &&
                  same_dim(k, 1, val, 1) && same_dim(k, 0, val, 0) && same_dim(y, 0, q, 0) &&
                  same_dim(y, 1, q, 1) && same_dim(y, 2, val, 2),
              "q [T, Hq, Dk], k [C, Hk, Dk], v [C, Hk, Dv] -> [T, Hq, Dv]");
    v.require(positions.rank == 1 && sequences.rank == 1 && same_dim(positions, 0, q, 0) &&
                  same_dim(sequences, 0, q, 0),
              "positions [T] and sequences [T]");
    v.require(pages.rank == 2 && lengths.rank == 1 && same_dim(pages, 0, lengths, 0),
              "pages [S, P] and lengths [S]");
    if (!v.ok()) return;
    v.require(k.dims[1] > 0 && q.dims[1] > 0 && q.dims[1] % k.dims[1] == 0,
              "Hq as a multiple of Hk");
    if (region.has_input(node, 7))
        v.require(is_vector(region.input(node, 7), q.dims[1]), "sinks [Hq]");
}

void check_attention(const Region &region, const Node &node, Verdict &v) {
    for (size_t i = 3; i < 7; ++i)
        v.support(is_int(region.input(node, i)), "positions, sequences, pages and lengths in I32");
    v.support(has_type(kCaches, region.input(node, 2).dtype), "values in F32, F16, Q8_0 or Q4_0");
    v.support(is_f32(region.input(node, 0)) && is_f32(region.output(node, 0)) &&
                  (!region.has_input(node, 7) || is_f32(region.input(node, 7))),
              "q, sinks and output in F32");
    check_attention_shapes(region, node, v);
    const auto a = attributes_of<rz_attr_attention>(node);
    v.require(a.page_size > 0, "a page size above 0");
    v.require(a.causal <= 1, "causal 0 or 1");
    v.require(a.kv_symbol == RZ_NONE || a.kv_symbol < region.symbols.size(),
              "a kv_symbol of the graph");
}

void check_argmax(const Region &region, const Node &node, Verdict &v) {
    const Tensor &x = region.input(node, 0), &y = region.output(node, 0);
    v.support(is_int(y), "an output in I32");
    v.require(x.rank == 2 && y.rank == 1 && same_dim(x, 0, y, 0), "x [T, D] -> [T]");
    v.support(x.inner() <= INT32_MAX, "rows of at most 2^31 - 1 elements");
}

void check_top_k(const Region &region, const Node &node, Verdict &v) {
    const Tensor &x = region.input(node, 0);
    const Tensor &values = region.output(node, 0), &indices = region.output(node, 1);
    const uint32_t k = attributes_of<rz_attr_top_k>(node).k;
    v.support(is_f32(values) && is_int(indices), "values F32 and indices I32");
    v.require(x.rank == 2 && values.rank == 2 && same_dim(x, 0, values, 0) &&
                  same_shape(values, indices) && values.inner() == k,
              "x [T, D] -> values [T, k], indices [T, k]");
    v.require(k >= 1 && k <= x.inner(), "1 <= k <= D");
    v.support(x.inner() <= INT32_MAX, "rows of at most 2^31 - 1 elements");
}

void check_sample(const Region &region, const Node &node, Verdict &v) {
    constexpr int64_t kMost = 1024, kDraw = 5;
    const Tensor &logits = region.input(node, 0), &tokens = region.input(node, 1);
    const Tensor &draws = region.input(node, 2), &y = region.output(node, 0);
    v.support(is_int(tokens) && is_f32(draws) && is_int(y), "draws F32, tokens and output I32");
    v.require(logits.rank == 2 && same_shape(logits, tokens) && draws.rank == 2 && y.rank == 1 &&
                  same_dim(logits, 0, draws, 0) && same_dim(logits, 0, y, 0) &&
                  draws.inner() == kDraw,
              "logits [T, K], tokens [T, K], draws [T, 5] -> [T]");
    v.require(logits.inner() <= kMost, "K of at most 1024");
}

void check_copy(const Region &region, const Node &node, Verdict &v) {
    const Tensor &y = region.output(node, 0);
    v.support(has_type(kFloats, y.dtype), "an output in F32, F16 or BF16");
    v.require(same_shape(region.input(node, 0), y), "an output with the shape of x");
}

void check_clamp(const Region &region, const Node &node, Verdict &v) {
    check_like(region, node, v);
    const auto a = attributes_of<rz_attr_clamp>(node);
    v.require(a.low <= a.high, "low at most high");
}

void check_concat(const Region &region, const Node &node, Verdict &v) {
    const Tensor &a = region.input(node, 0), &b = region.input(node, 1);
    const Tensor &y = region.output(node, 0);
    v.support(is_f32(b) && is_f32(y), "F32 operands");
    bool shapes = a.rank >= 2 && a.rank == b.rank && a.rank == y.rank && same_dim(a, 0, b, 0) &&
                  same_dim(a, 0, y, 0) && y.inner() == a.inner() + b.inner();
    for (uint32_t d = 1; shapes && d + 1 < a.rank; ++d)
        shapes = (b.dims[d] == a.dims[d] || b.dims[d] == 1) && y.dims[d] == a.dims[d];
    v.require(shapes, "a [..., A], b [..., B] -> [..., A + B]");
}

constexpr size_t kScaleSize = sizeof(rz_attr_scale), kNormSize = sizeof(rz_attr_norm),
                 kUnarySize = sizeof(rz_attr_unary);

constexpr Contract kContracts[] = {
    // op, name, inputs, outputs, typed input, its types, attributes, check
    {RZ_OP_GET_ROWS, "GET_ROWS", 2, 2, 1, 0, kEveryType, 0, check_get_rows},
    {RZ_OP_MATMUL, "MATMUL", 2, 2, 1, 0, kEveryType, 0, check_matmul},
    {RZ_OP_ADD, "ADD", 2, 2, 1, 0, kFloat32, 0, check_binary},
    {RZ_OP_MUL, "MUL", 2, 2, 1, 0, kFloat32, 0, check_binary},
    {RZ_OP_SCALE, "SCALE", 1, 1, 1, 0, kFloat32, kScaleSize, check_like},
    {RZ_OP_RMS_NORM, "RMS_NORM", 1, 2, 1, 0, kFloat32, kNormSize, check_norm},
    {RZ_OP_LAYER_NORM, "LAYER_NORM", 1, 3, 1, 0, kFloat32, kNormSize, check_norm},
    {RZ_OP_ROPE, "ROPE", 2, 3, 1, 0, kFloat32, sizeof(rz_attr_rope), check_rope},
    {RZ_OP_KV_WRITE, "KV_WRITE", 3, 3, 1, 0, kCaches, 0, check_kv_write},
    {RZ_OP_ATTENTION, "ATTENTION", 7, 8, 1, 1, kCaches, sizeof(rz_attr_attention), check_attention},
    {RZ_OP_UNARY, "UNARY", 1, 1, 1, 0, kFloat32, kUnarySize, check_activation},
    {RZ_OP_GLU, "GLU", 2, 2, 1, 0, kFloat32, kUnarySize, check_activation},
    {RZ_OP_SOFTMAX, "SOFTMAX", 1, 1, 1, 0, kFloat32, kScaleSize, check_softmax},
    {RZ_OP_ARGMAX, "ARGMAX", 1, 1, 1, 0, kFloat32, 0, check_argmax},
    {RZ_OP_TOP_K, "TOP_K", 1, 1, 2, 0, kFloat32, sizeof(rz_attr_top_k), check_top_k},
    {RZ_OP_COPY, "COPY", 1, 1, 1, 0, kFloats, 0, check_copy},
    {RZ_OP_CLAMP, "CLAMP", 1, 1, 1, 0, kFloat32, sizeof(rz_attr_clamp), check_clamp},
    {RZ_OP_CONCAT, "CONCAT", 2, 2, 1, 0, kFloat32, 0, check_concat},
    {RZ_OP_ROUTE, "ROUTE", 1, 2, 2, 0, kFloat32, sizeof(rz_attr_route), check_route},
    {RZ_OP_EXPERT_MATMUL, "EXPERT_MATMUL", 2, 4, 1, 0, kEveryType, 0, check_expert_matmul},
    {RZ_OP_WEIGHTED_SUM, "WEIGHTED_SUM", 2, 2, 1, 0, kFloat32, 0, check_weighted_sum},
    {RZ_OP_SSM_CONV, "SSM_CONV", 5, 6, 2, 0, kFloat32, 0, check_ssm_conv},
    {RZ_OP_SSM_SCAN, "SSM_SCAN", 8, 9, 2, 0, kFloat32, 0, check_ssm_scan},
    {RZ_OP_SAMPLE, "SAMPLE", 3, 3, 1, 0, kFloat32, 0, check_sample},
};

} // namespace

std::span<const Contract> contracts() { return kContracts; }

} // namespace realizar::plugin
