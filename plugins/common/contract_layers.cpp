#include "plugins/common/contract_layers.h"

#include <cmath>

namespace realizar::plugin {

namespace {

bool is_matrix(const Tensor &t, int64_t rows, int64_t columns) {
    return t.rank == 2 && t.symbol == RZ_NONE && t.dims[0] == rows && t.dims[1] == columns;
}

// positions and sequences, from input `first` on: one number per row of x.
void check_places(const Region &region, const Node &node, size_t first, Verdict &v) {
    const Tensor &x = region.input(node, 1);
    for (size_t i = first; i < first + 2; ++i) {
        const Tensor &places = region.input(node, i);
        v.support(is_int(places), "positions and sequences in I32");
        v.require(places.rank == 1 && same_dim(places, 0, x, 0), "positions [T] and sequences [T]");
    }
}

// Input and output 0 are one STATE, output 1 is like x.
void check_state(const Region &region, const Node &node, uint32_t rank, Verdict &v) {
    const Tensor &state = region.input(node, 0), &x = region.input(node, 1);
    v.require(state.role == RZ_ROLE_STATE && node.outputs[0] == node.inputs[0],
              "a STATE as first input and first output");
    v.require(state.rank == rank, "a state of this operator's rank");
    v.require(same_shape(x, region.output(node, 1)), "a second output like x");
    v.support(is_f32(region.output(node, 1)), "F32 operands");
    v.require(x.storage != state.storage, "x outside the state");
}

void check_optional_vector(const Region &region, const Node &node, size_t i, int64_t n,
                           Verdict &v) {
    if (!region.has_input(node, i)) return;
    v.support(is_f32(region.input(node, i)), "F32 operands");
    v.require(is_vector(region.input(node, i), n), "a vector as last operand");
}

} // namespace

void check_route(const Region &region, const Node &node, Verdict &v) {
    const Tensor &logits = region.input(node, 0);
    const Tensor &weights = region.output(node, 0), &experts = region.output(node, 1);
    const auto a = attributes_of<rz_attr_route>(node);
    v.support(is_f32(weights) && is_int(experts), "weights F32 and experts I32");
    v.support(a.gating == RZ_GATING_SOFTMAX || a.gating == RZ_GATING_SIGMOID, "a known gating");
    v.require(logits.rank == 2 && weights.rank == 2 && same_dim(weights, 0, logits, 0) &&
                  same_shape(weights, experts) && weights.dims[1] == a.k,
              "logits [T, E] -> [T, k], [T, k]");
    if (!v.ok()) return;
    const int64_t count = logits.dims[1];
    v.require(a.groups >= 1 && count % a.groups == 0, "groups that divide E");
    if (!v.ok()) return;
    const int64_t group = count / a.groups;
    v.require(a.groups_used >= 1 && a.groups_used <= a.groups, "groups_used of 1 to groups");
    v.require(a.group_top >= 1 && a.group_top <= group, "group_top of 1 to E / groups");
    v.require(a.k >= 1 && a.k <= a.groups_used * group, "k of 1 to groups_used * E / groups");
    v.require(a.normalise <= 1, "normalise 0 or 1");
    v.require(std::isfinite(a.scale), "a finite scale");
    check_optional_vector(region, node, 1, count, v);
}

void check_expert_matmul(const Region &region, const Node &node, Verdict &v) {
    const Tensor &w = region.input(node, 0), &x = region.input(node, 1);
    const Tensor &y = region.output(node, 0);
    v.support(is_f32(x) && is_f32(y), "x and output in F32");
    v.require(w.rank == 3 && w.symbol == RZ_NONE && x.rank == 3 && y.rank == 3 &&
                  same_dim(x, 0, y, 0) && w.dims[2] == x.dims[2] && w.dims[1] == y.dims[2] &&
                  (x.dims[1] == 1 || x.dims[1] == y.dims[1]),
              "w [E, N, K], x [T, J, K] or [T, 1, K] -> [T, J, N]");
    if (!v.ok()) return;
    if (region.has_input(node, 2)) {
        const Tensor &experts = region.input(node, 2);
        v.support(is_int(experts), "experts in I32");
        v.require(experts.rank == 2 && same_dim(experts, 0, y, 0) && same_dim(experts, 1, y, 1),
                  "experts [T, J]");
    } else {
        v.require(y.dims[1] == w.dims[0], "J = E without experts");
    }
    if (!region.has_input(node, 3)) return;
    v.support(is_f32(region.input(node, 3)), "F32 operands");
    v.require(is_matrix(region.input(node, 3), w.dims[0], w.dims[1]), "bias [E, N]");
}

void check_weighted_sum(const Region &region, const Node &node, Verdict &v) {
    const Tensor &x = region.input(node, 0), &weights = region.input(node, 1);
    const Tensor &y = region.output(node, 0);
    v.support(is_f32(weights) && is_f32(y), "F32 operands");
    v.require(x.rank == 3 && weights.rank == 2 && y.rank == 2 && same_dim(weights, 0, x, 0) &&
                  same_dim(weights, 1, x, 1) && same_dim(y, 0, x, 0) && same_dim(y, 1, x, 2),
              "x [T, J, N], weights [T, J] -> [T, N]");
}

void check_ssm_conv(const Region &region, const Node &node, Verdict &v) {
    const Tensor &state = region.input(node, 0), &x = region.input(node, 1);
    const Tensor &weight = region.input(node, 2);
    check_state(region, node, 3, v);
    v.support(is_f32(x) && is_f32(weight), "F32 operands");
    v.require(x.rank == 2 && same_dim(x, 1, state, 2) &&
                  is_matrix(weight, state.dims[2], state.dims[1] + 1),
              "state [S, C-1, D], x [T, D], weight [D, C]");
    check_places(region, node, 3, v);
    check_optional_vector(region, node, 5, state.dims[2], v);
}

void check_ssm_scan(const Region &region, const Node &node, Verdict &v) {
    const Tensor &state = region.input(node, 0), &x = region.input(node, 1);
    const Tensor &dt = region.input(node, 2), &a = region.input(node, 3);
    const Tensor &b = region.input(node, 4), &c = region.input(node, 5);
    check_state(region, node, 4, v);
    for (size_t i = 1; i < 6; ++i)
        v.support(is_f32(region.input(node, i)), "F32 operands");
    const int64_t heads = state.dims[1], size = state.dims[3];
    v.require(x.rank == 3 && same_dim(x, 1, state, 1) && same_dim(x, 2, state, 2) && dt.rank == 2 &&
                  same_dim(dt, 0, x, 0) && same_dim(dt, 1, x, 1),
              "state [S, H, P, N], x [T, H, P], dt [T, H]");
    v.require(is_matrix(a, heads, size) || is_matrix(a, heads, 1), "a [H, N] or [H, 1]");
    v.require(b.rank == 3 && same_dim(b, 0, x, 0) && b.dims[2] == size && b.dims[1] >= 1 &&
                  heads % b.dims[1] == 0 && same_shape(b, c),
              "b and c [T, G, N] with H a multiple of G");
    check_places(region, node, 6, v);
    check_optional_vector(region, node, 8, heads, v);
}

} // namespace realizar::plugin
