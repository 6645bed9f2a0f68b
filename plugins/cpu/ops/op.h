// One operator of backend.h: what it accepts, and the steps that compute it.
#pragma once

#include "plugins/cpu/planner.h"
#include "plugins/cpu/support.h"

#include <span>
#include <string>

namespace realizar::cpu {

// Whether a node is right and computable; the first objection stands.
class Verdict {
  public:
    // Broken contract: the graph is wrong.
    void require(bool ok, const char *expected) { object(ok, RZ_INVALID_ARGUMENT, expected); }
    // A type or shape that this backend lacks.
    void support(bool ok, const char *expected) { object(ok, RZ_UNSUPPORTED, expected); }

    bool ok() const { return code_ == RZ_OK; }
    rz_code code() const { return code_; }
    const char *expected() const { return expected_; }

  private:
    void object(bool ok, rz_code code, const char *expected) {
        if (ok || code_ != RZ_OK) return;
        code_ = code;
        expected_ = expected;
    }
    rz_code code_ = RZ_OK;
    const char *expected_ = "";
};

struct Op {
    uint32_t id;
    const char *name;
    uint32_t min_inputs, max_inputs; // absent optional inputs may be left out or RZ_NONE
    uint32_t outputs;
    uint32_t typed_input; // whose types are `dtypes`
    uint64_t dtypes;
    size_t attributes; // bytes of the op's rz_attr_* struct at ABI 0.1; 0: none
    bool in_place;     // an output may have the layout of an input
    // Called when counts, types of the typed input and attribute size are right.
    void (*check)(const Region &region, const Node &node, Verdict &verdict);
    void (*plan)(Planner &planner, const Node &node);
};

extern const Op kGetRows, kMatmul, kAdd, kMul, kScale, kRmsNorm, kLayerNorm, kRope, kKvWrite,
    kAttention, kUnary, kGlu, kSoftmax, kArgmax, kTopK, kCopy;

// All operators of this backend.
std::span<const Op *const> all_ops();

// RZ_OK, RZ_UNSUPPORTED or RZ_INVALID_ARGUMENT with a sentence about node `index`.
rz_code check_node(const Region &region, uint32_t index, rz_error *err);
// nullptr for an op that this backend lacks.
const Op *find_op(uint32_t id);

// The attribute struct of a checked node.
template <class T>
T attributes_of(const Node &node) {
    T result;
    __builtin_memcpy(&result, node.attributes.data(), sizeof(T));
    return result;
}

// --- shapes ---
constexpr uint64_t kFloats =
    RZ_DTYPE_BIT(RZ_DTYPE_F32) | RZ_DTYPE_BIT(RZ_DTYPE_F16) | RZ_DTYPE_BIT(RZ_DTYPE_BF16);
constexpr uint64_t kWeights = kFloats | RZ_DTYPE_BIT(RZ_DTYPE_Q8_0) | RZ_DTYPE_BIT(RZ_DTYPE_Q4_0) |
                              RZ_DTYPE_BIT(RZ_DTYPE_Q4_K) | RZ_DTYPE_BIT(RZ_DTYPE_Q6_K);
constexpr uint64_t kCaches =
    RZ_DTYPE_BIT(RZ_DTYPE_F32) | RZ_DTYPE_BIT(RZ_DTYPE_F16) | RZ_DTYPE_BIT(RZ_DTYPE_Q8_0);
constexpr uint64_t kFloat32 = RZ_DTYPE_BIT(RZ_DTYPE_F32);

bool same_dim(const Tensor &a, uint32_t a_dim, const Tensor &b, uint32_t b_dim);
bool same_shape(const Tensor &a, const Tensor &b);
// b has the shape of a's trailing dimensions.
bool trailing_shape(const Tensor &a, const Tensor &b);
// A tensor of rank 1 with n elements, n not symbolic.
bool is_vector(const Tensor &t, int64_t n);
WeightType weight_type(rz_dtype dtype); // of a type in kWeights

} // namespace realizar::cpu
