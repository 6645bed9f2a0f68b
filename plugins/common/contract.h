// The operators of backend.h, section 5, as rules on a node: counts, types, shapes, attributes. What
// a backend adds is in its own tables.
#pragma once

#include "plugins/common/region.h"

#include <span>

namespace realizar::plugin {

// Whether a node is right and computable; the first objection stands.
class Verdict {
  public:
    // Broken contract: the graph is wrong.
    void require(bool ok, const char *expected) { object(ok, RZ_INVALID_ARGUMENT, expected); }
    // A type or shape that the backend lacks.
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

struct Contract {
    uint32_t op;
    const char *name;
    uint32_t min_inputs, max_inputs; // absent optional inputs may be left out or RZ_NONE
    uint32_t outputs;
    uint32_t typed_input; // whose types are `dtypes`
    uint64_t dtypes;
    size_t attributes; // bytes of the op's rz_attr_* struct at ABI 0.1; 0: none
    // Called when counts, types of the typed input and attribute size are right.
    void (*check)(const Region &region, const Node &node, Verdict &verdict);
};

// All operators of ABI 0.1, with the types of the typed operand that the contract allows.
std::span<const Contract> contracts();
const Contract *find_contract(uint32_t op); // nullptr for an unknown one

// What one backend computes of the contracts.
struct Coverage {
    // The types of the typed operand that it has for this operator, within the contract's; 0: the
    // operator is not there.
    uint64_t (*types)(const Contract &op);
    // Its own objections to a node, after the contract's.
    void (*check)(const Region &region, const Node &node, Verdict &verdict);
};

// RZ_OK, RZ_UNSUPPORTED or RZ_INVALID_ARGUMENT with a sentence about node `index`.
rz_code check_node(const Region &region, uint32_t index, const Coverage &coverage, rz_error *err);

// The attribute struct of a checked node.
template <class T>
T attributes_of(const Node &node) {
    T result;
    __builtin_memcpy(&result, node.attributes.data(), sizeof(T));
    return result;
}

// --- shapes ---
constexpr uint64_t kFloat32 = RZ_DTYPE_BIT(RZ_DTYPE_F32);
constexpr uint64_t kFloats = kFloat32 | RZ_DTYPE_BIT(RZ_DTYPE_F16) | RZ_DTYPE_BIT(RZ_DTYPE_BF16);
constexpr uint64_t kQuantised = RZ_DTYPE_BIT(RZ_DTYPE_Q8_0) | RZ_DTYPE_BIT(RZ_DTYPE_Q4_0) |
                                RZ_DTYPE_BIT(RZ_DTYPE_Q4_K) | RZ_DTYPE_BIT(RZ_DTYPE_Q6_K);
constexpr uint64_t kWeights =
    kFloats | kQuantised; // those that all backends of this project compute
#define RZ_BIT(name, id, elements, bytes) | RZ_DTYPE_BIT(id)
constexpr uint64_t kEveryType = 0 RZ_DTYPES(RZ_BIT);
#undef RZ_BIT
constexpr uint64_t kCaches = kFloat32 | RZ_DTYPE_BIT(RZ_DTYPE_F16) | RZ_DTYPE_BIT(RZ_DTYPE_Q8_0) |
                             RZ_DTYPE_BIT(RZ_DTYPE_Q4_0);

constexpr bool has_type(uint64_t set, rz_dtype dtype) {
    return dtype < 64 && (set & RZ_DTYPE_BIT(dtype)) != 0;
}
bool same_dim(const Tensor &a, uint32_t a_dim, const Tensor &b, uint32_t b_dim);
bool same_shape(const Tensor &a, const Tensor &b);
// b has the shape of a's trailing dimensions.
bool trailing_shape(const Tensor &a, const Tensor &b);
// A tensor of rank 1 with n elements, n not symbolic.
bool is_vector(const Tensor &t, int64_t n);

} // namespace realizar::plugin
