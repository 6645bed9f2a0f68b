// The operators of the reference: one function each, in one table (ref_ops.cpp).
#pragma once

#include "core/reference/ref_tensor.h"

#include <cstring>
#include <optional>

namespace realizar {

// One node with its operands at the symbols of this run. The graph is valid (validate_graph), so
// shapes and types are those of the contract.
struct RefCall {
    const rz_node &node;
    std::vector<std::optional<RefTensor>> inputs;
    std::vector<RefTensor> outputs;

    const RefTensor &in(size_t i) const { return *inputs[i]; }
    RefTensor &out(size_t i = 0) { return outputs[i]; }
    bool has(size_t i) const { return i < inputs.size() && inputs[i].has_value(); }
    template <class T>
    T attributes() const {
        T out;
        std::memcpy(&out, node.attributes, sizeof out);
        return out;
    }
};

using RefFunction = void (*)(RefCall &call);

// The function of an op of backend.h.
RefFunction find_ref_op(uint32_t op);

void ref_get_rows(RefCall &call);
void ref_matmul(RefCall &call);
void ref_add(RefCall &call);
void ref_mul(RefCall &call);
void ref_scale(RefCall &call);
void ref_rms_norm(RefCall &call);
void ref_layer_norm(RefCall &call);
void ref_rope(RefCall &call);
void ref_kv_write(RefCall &call);
void ref_attention(RefCall &call);
void ref_unary(RefCall &call);
void ref_glu(RefCall &call);
void ref_softmax(RefCall &call);
void ref_argmax(RefCall &call);
void ref_top_k(RefCall &call);
void ref_copy(RefCall &call);
void ref_clamp(RefCall &call);
void ref_concat(RefCall &call);
void ref_route(RefCall &call);
void ref_expert_matmul(RefCall &call);
void ref_weighted_sum(RefCall &call);
void ref_ssm_conv(RefCall &call);
void ref_ssm_scan(RefCall &call);
void ref_sample(RefCall &call);

} // namespace realizar
