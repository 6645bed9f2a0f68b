// Every operator with shapes that its contract allows and shapes that it does not.
#include "core/graph/infer.h"
#include "core/graph/layout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace realizar {
namespace {

constexpr int64_t T = RZ_SYMBOL(0), U = RZ_SYMBOL(1);
constexpr rz_dtype F32 = RZ_DTYPE_F32, F16 = RZ_DTYPE_F16, BF16 = RZ_DTYPE_BF16, Q8 = RZ_DTYPE_Q8_0,
                   I32 = RZ_DTYPE_I32;

struct Operand {
    rz_dtype dtype = F32;
    Shape shape; // rank 0: an absent optional operand
    rz_role role = RZ_ROLE_INPUT;
};
const Operand kAbsent{};
Operand state(rz_dtype dtype, const Shape &shape) { return {dtype, shape, RZ_ROLE_STATE}; }

struct Expected {
    rz_dtype dtype;
    Shape shape;
};

using Blob = std::vector<std::byte>;

template <class A>
Blob blob(A attributes) {
    attributes.struct_size = sizeof attributes;
    Blob out(sizeof attributes);
    std::memcpy(out.data(), &attributes, sizeof attributes);
    return out;
}

Blob scale(float factor, float bias = 0) {
    rz_attr_scale attr{};
    attr.scale = factor;
    attr.bias = bias;
    return blob(attr);
}

Blob norm(float epsilon) {
    rz_attr_norm attr{};
    attr.epsilon = epsilon;
    return blob(attr);
}

Blob unary(uint32_t kind) {
    rz_attr_unary attr{};
    attr.kind = kind;
    return blob(attr);
}

Blob top_k(uint32_t k) {
    rz_attr_top_k attr{};
    attr.k = k;
    return blob(attr);
}

Blob rope(uint32_t rotated, void (*change)(rz_attr_rope &) = nullptr) {
    rz_attr_rope attr{};
    attr.rotated = rotated;
    attr.base = 10000;
    attr.scale = 1;
    attr.attention_factor = 1;
    attr.beta_fast = 32;
    attr.beta_slow = 1;
    attr.original_context = 4096;
    if (change != nullptr) change(attr);
    return blob(attr);
}

Blob attention(void (*change)(rz_attr_attention &) = nullptr) {
    rz_attr_attention attr{};
    attr.scale = 0.5f;
    attr.causal = 1;
    attr.page_size = 4;
    attr.kv_symbol = RZ_NONE;
    if (change != nullptr) change(attr);
    return blob(attr);
}

std::vector<Operand> attention_inputs() {
    return {{F32, {T, 8, 16}},
            state(F16, {64, 2, 16}),
            state(Q8, {64, 2, 32}),
            {I32, {T}},
            {I32, {T}},
            {I32, {U, 5}},
            {I32, {U}}};
}

std::vector<Operand> attention_with(size_t i, const Operand &operand) {
    std::vector<Operand> inputs = attention_inputs();
    if (i < inputs.size())
        inputs[i] = operand;
    else
        inputs.push_back(operand);
    return inputs;
}

Blob clamp(float low, float high) {
    rz_attr_clamp attr{};
    attr.low = low;
    attr.high = high;
    return blob(attr);
}

// Groups of `experts` / 3, of which two may be used.
Blob route(uint32_t experts, uint32_t k, void (*change)(rz_attr_route &) = nullptr) {
    rz_attr_route attr{};
    attr.gating = RZ_GATING_SOFTMAX;
    attr.k = k;
    attr.groups = experts / 4;
    attr.groups_used = 2;
    attr.group_top = 2;
    attr.scale = 1;
    if (change != nullptr) change(attr);
    return blob(attr);
}

std::vector<Operand> scan_inputs() {
    return {state(F32, {2, 6, 3, 5}), {F32, {T, 6, 3}}, {F32, {T, 6}}, {F32, {6, 5}},
            {F32, {T, 2, 5}},         {F32, {T, 2, 5}}, {I32, {T}},    {I32, {T}}};
}

std::vector<Operand> scan_with(size_t i, const Operand &operand, const Operand &skip = kAbsent) {
    std::vector<Operand> inputs = scan_inputs();
    inputs[i] = operand;
    inputs.push_back(skip);
    return inputs;
}

struct Call {
    uint32_t op;
    std::vector<Operand> inputs;
    Blob attributes;
    uint32_t version = 1;

    Result<std::vector<InferredOutput>> infer() const {
        static const char *const kNames[] = {"p", "q", "r", "s", "t", "u", "v", "w", "x"};
        std::vector<rz_tensor> tensors(inputs.size());
        std::vector<const rz_tensor *> pointers;
        for (size_t i = 0; i < inputs.size(); ++i) {
            rz_tensor &tensor = tensors[i];
            tensor.struct_size = sizeof tensor;
            tensor.dtype = inputs[i].dtype;
            tensor.role = inputs[i].role;
            tensor.rank = inputs[i].shape.rank;
            std::copy(inputs[i].shape.dims.begin(), inputs[i].shape.dims.end(), tensor.dims);
            tensor.name = kNames[i];
            if (tensor.rank > 0) set_contiguous_strides(tensor);
            pointers.push_back(tensor.rank > 0 ? &tensor : nullptr);
        }
        return infer_outputs(op, version, pointers, attributes.data(), attributes.size());
    }
};

struct GoodCase {
    const char *name;
    Call call;
    std::vector<Expected> outputs;
};

TEST(Infer, AcceptsWhatTheContractsAllow) {
    const GoodCase cases[] = {
        {"get_rows", {RZ_OP_GET_ROWS, {{Q8, {100, 64}}, {I32, {T}}}, {}}, {{F32, {T, 64}}}},
        {"get_rows of rows of a step",
         {RZ_OP_GET_ROWS, {{F32, {T, 7}}, {I32, {3}}}, {}},
         {{F32, {3, 7}}}},
        {"matmul", {RZ_OP_MATMUL, {{F16, {5, 7}}, {F32, {T, 7}}}, {}}, {{F32, {T, 5}}}},
        {"matmul rank 1", {RZ_OP_MATMUL, {{F32, {5, 7}}, {F32, {7}}}, {}}, {{F32, {5}}}},
        {"matmul rank 4",
         {RZ_OP_MATMUL, {{F32, {5, 7}}, {F32, {2, 3, 1, 7}}}, {}},
         {{F32, {2, 3, 1, 5}}}},
        {"add", {RZ_OP_ADD, {{F32, {T, 7}}, {F32, {T, 7}}}, {}}, {{F32, {T, 7}}}},
        {"mul by a row", {RZ_OP_MUL, {{F32, {T, 3, 7}}, {F32, {7}}}, {}}, {{F32, {T, 3, 7}}}},
        {"mul by a matrix", {RZ_OP_MUL, {{F32, {T, 3, 7}}, {F32, {3, 7}}}, {}}, {{F32, {T, 3, 7}}}},
        {"scale", {RZ_OP_SCALE, {{F32, {T}}}, scale(-2, 1)}, {{F32, {T}}}},
        {"rms_norm", {RZ_OP_RMS_NORM, {{F32, {T, 9}}, {F32, {9}}}, norm(1e-5f)}, {{F32, {T, 9}}}},
        {"rms_norm bare", {RZ_OP_RMS_NORM, {{F32, {T, 9}}}, norm(0)}, {{F32, {T, 9}}}},
        {"layer_norm, bias only",
         {RZ_OP_LAYER_NORM, {{F32, {T, 9}}, kAbsent, {F32, {9}}}, norm(1e-5f)},
         {{F32, {T, 9}}}},
        {"rope",
         {RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {T}}, {F32, {4}}}, rope(8)},
         {{F32, {T, 3, 10}}}},
        {"kv_write",
         {RZ_OP_KV_WRITE, {state(Q8, {64, 2, 32}), {F32, {T, 2, 32}}, {I32, {T}}}, {}},
         {{Q8, {64, 2, 32}}}},
        {"attention", {RZ_OP_ATTENTION, attention_inputs(), attention()}, {{F32, {T, 8, 32}}}},
        {"attention with sinks",
         {RZ_OP_ATTENTION, attention_with(7, {F32, {8}}), attention()},
         {{F32, {T, 8, 32}}}},
        {"unary", {RZ_OP_UNARY, {{F32, {T, 7}}}, unary(RZ_UNARY_TANH)}, {{F32, {T, 7}}}},
        {"glu", {RZ_OP_GLU, {{F32, {T, 7}}, {F32, {T, 7}}}, unary(RZ_UNARY_SILU)}, {{F32, {T, 7}}}},
        {"softmax", {RZ_OP_SOFTMAX, {{F32, {T, 7}}}, scale(2)}, {{F32, {T, 7}}}},
        {"argmax", {RZ_OP_ARGMAX, {{F32, {T, 7}}}, {}}, {{I32, {T}}}},
        {"top_k", {RZ_OP_TOP_K, {{F32, {T, 7}}}, top_k(7)}, {{F32, {T, 7}}, {I32, {T, 7}}}},
        {"copy", {RZ_OP_COPY, {{BF16, {T, 7}}}, {}}, {{BF16, {T, 7}}}},
        {"clamp", {RZ_OP_CLAMP, {{F32, {T, 7}}}, clamp(-1, 1)}, {{F32, {T, 7}}}},
        {"concat", {RZ_OP_CONCAT, {{F32, {T, 3, 7}}, {F32, {T, 1, 2}}}, {}}, {{F32, {T, 3, 9}}}},
        {"route",
         {RZ_OP_ROUTE, {{F32, {T, 12}}, {F32, {12}}}, route(12, 4)},
         {{F32, {T, 4}}, {I32, {T, 4}}}},
        {"expert_matmul, one row for all",
         {RZ_OP_EXPERT_MATMUL, {{Q8, {6, 5, 32}}, {F32, {T, 1, 32}}, {I32, {T, 2}}}, {}},
         {{F32, {T, 2, 5}}}},
        {"expert_matmul, own rows and bias",
         {RZ_OP_EXPERT_MATMUL,
          {{F16, {6, 5, 7}}, {F32, {T, 2, 7}}, {I32, {T, 2}}, {F32, {6, 5}}},
          {}},
         {{F32, {T, 2, 5}}}},
        {"expert_matmul, each its own",
         {RZ_OP_EXPERT_MATMUL, {{F16, {6, 5, 7}}, {F32, {T, 6, 7}}}, {}},
         {{F32, {T, 6, 5}}}},
        {"weighted_sum",
         {RZ_OP_WEIGHTED_SUM, {{F32, {T, 3, 7}}, {F32, {T, 3}}}, {}},
         {{F32, {T, 7}}}},
        {"ssm_conv",
         {RZ_OP_SSM_CONV,
          {state(F32, {2, 3, 6}), {F32, {T, 6}}, {F32, {6, 4}}, {I32, {T}}, {I32, {T}}, {F32, {6}}},
          {}},
         {{F32, {2, 3, 6}}, {F32, {T, 6}}}},
        {"ssm_scan", {RZ_OP_SSM_SCAN, scan_inputs(), {}}, {{F32, {2, 6, 3, 5}}, {F32, {T, 6, 3}}}},
        {"ssm_scan, one rate per head, with skip",
         {RZ_OP_SSM_SCAN, scan_with(3, {F32, {6, 1}}, {F32, {6}}), {}},
         {{F32, {2, 6, 3, 5}}, {F32, {T, 6, 3}}}},
        {"sample", {RZ_OP_SAMPLE, {{F32, {T, 7}}, {I32, {T, 7}}, {F32, {T, 5}}}, {}}, {{I32, {T}}}},
    };
    bool seen[RZ_OP_COUNT] = {};
    for (const GoodCase &c : cases) {
        SCOPED_TRACE(c.name);
        seen[c.call.op] = true;
        const auto outputs = c.call.infer();
        ASSERT_TRUE(outputs.ok()) << outputs.error().message;
        ASSERT_EQ(outputs->size(), c.outputs.size());
        for (size_t i = 0; i < c.outputs.size(); ++i) {
            Shape shape;
            shape.rank = (*outputs)[i].rank;
            std::copy_n((*outputs)[i].dims, RZ_MAX_RANK, shape.dims.begin());
            EXPECT_EQ((*outputs)[i].dtype, c.outputs[i].dtype);
            EXPECT_EQ(shape, c.outputs[i].shape) << shape.text();
        }
    }
    for (uint32_t op = 1; op < RZ_OP_COUNT; ++op)
        EXPECT_TRUE(seen[op]) << op_name(op) << " has no case";
}

struct BadCase {
    Call call;
    const char *message; // a part of it
    Code code = Code::invalid_argument;
};

void expect_errors(std::span<const BadCase> cases) {
    for (const BadCase &c : cases) {
        SCOPED_TRACE(c.message);
        const auto outputs = c.call.infer();
        ASSERT_FALSE(outputs.ok());
        EXPECT_EQ(outputs.error().code, c.code);
        EXPECT_NE(outputs.error().message.find(c.message), std::string::npos)
            << outputs.error().message;
    }
}

TEST(Infer, NamesOperandExpectedAndFound) {
    const BadCase cases[] = {
        {{RZ_OP_GET_ROWS, {{F32, {100}}, {I32, {T}}}, {}},
         "GET_ROWS table 'p': expected a matrix [N, D], found F32 [100]"},
        {{RZ_OP_GET_ROWS, {{F32, {9, 9}}, {F32, {T}}}, {}},
         "GET_ROWS ids 'q': expected I32 [*], found F32 [s0]"},
        {{RZ_OP_MATMUL, {{F32, {5, 256}}, {F32, {T, 512}}}, {}},
         "MATMUL weight 'p': expected K = 512 as in x [s0, 512], found F32 [5, 256]"},
        {{RZ_OP_MATMUL, {{F32, {T, 7}}, {F32, {3, 7}}}, {}}, "expected a fixed matrix [N, K]"},
        {{RZ_OP_MATMUL, {{F32, {5, 7}}, {F16, {T, 7}}}, {}},
         "MATMUL x 'q': expected F32, found F16"},
        {{RZ_OP_ADD, {{F32, {T, 7}}, {F32, {U, 7}}}, {}},
         "ADD b 'q': expected the shape or the trailing dimensions of a [s0, 7], found F32 [s1, "
         "7]"},
        {{RZ_OP_MUL, {{F32, {T, 3, 7}}, {F32, {3}}}, {}}, "MUL b 'q'"},
        {{RZ_OP_ADD, {{F32, {7}}, {F32, {3, 7}}}, {}}, "ADD b 'q'"},
        {{RZ_OP_ADD, {{I32, {7}}, {F32, {7}}}, {}}, "ADD a 'p': expected F32, found I32 [7]"},
        {{RZ_OP_SCALE, {{F32, {7}}}, scale(NAN)},
         "SCALE attribute scale: expected a finite number, found nan"},
        {{RZ_OP_RMS_NORM, {{F32, {T, 9}}, {F32, {8}}}, norm(0)},
         "RMS_NORM weight 'q': expected F32 [9] as in x [s0, 9], found F32 [8]"},
        {{RZ_OP_RMS_NORM, {{F32, {T}}}, norm(0)}, "not symbolic"},
        {{RZ_OP_LAYER_NORM, {{F32, {T, 9}}, kAbsent, {F16, {9}}}, norm(0)}, "LAYER_NORM bias 'r'"},
        {{RZ_OP_LAYER_NORM, {{F32, {T, 9}}}, norm(-1)}, "epsilon: expected zero or more"},
        {{RZ_OP_ROPE, {{F32, {T, 10}}, {I32, {T}}}, rope(8)},
         "ROPE x 'p': expected F32 [*, *, *], found F32 [s0, 10]"},
        {{RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {3}}}, rope(8)},
         "ROPE positions 'q': expected I32 [s0] as in x [s0, 3, 10], found I32 [3]"},
        {{RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {T}}}, rope(12)},
         "rotated: expected an even number up to 10, found 12"},
        {{RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {T}}}, rope(7)}, "found 7"},
        {{RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {T}}, {F32, {8}}}, rope(8)},
         "ROPE factors 'r': expected F32 [4] for rotated / 2, found F32 [8]"},
        {{RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {T}}}, rope(8, [](auto &a) { a.base = 1; })},
         "base: expected above 1"},
        {{RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {T}}}, rope(8, [](auto &a) { a.scale = 0; })},
         "scale: expected above 0"},
        {{RZ_OP_ROPE,
          {{F32, {T, 3, 10}}, {I32, {T}}},
          rope(8, [](auto &a) { a.extrapolation = 1.5f; })},
         "extrapolation: expected 0 to 1, found 1.5"},
        {{RZ_OP_KV_WRITE, {{F32, {64, 2, 32}}, {F32, {T, 2, 32}}, {I32, {T}}}, {}},
         "KV_WRITE cache 'p': expected a STATE [cells, heads, D]"},
        {{RZ_OP_KV_WRITE, {state(BF16, {64, 2, 32}), {F32, {T, 2, 32}}, {I32, {T}}}, {}},
         "expected F32, F16, Q8_0 or Q4_0, found BF16"},
        {{RZ_OP_KV_WRITE, {state(F16, {64, 2, 32}), {F32, {T, 3, 32}}, {I32, {T}}}, {}},
         "KV_WRITE rows 'q': expected F32 [*, 2, 32] as in cache [64, 2, 32]"},
        {{RZ_OP_UNARY, {{F32, {T, 7}}}, {}}, "UNARY: expected at least 16 bytes of attributes"},
        {{RZ_OP_GLU, {{F32, {T, 7}}, {F32, {T, 8}}}, unary(RZ_UNARY_SILU)},
         "GLU up 'q': expected F32 [s0, 7] as gate, found F32 [s0, 8]"},
        {{RZ_OP_SOFTMAX, {{F32, {T, 7}}}, scale(1, 1)}, "SOFTMAX attribute bias: expected 0"},
        {{RZ_OP_ARGMAX, {{F32, {7}}}, {}}, "ARGMAX x 'p': expected F32 [*, *], found F32 [7]"},
        {{RZ_OP_TOP_K, {{F32, {T, 7}}}, top_k(8)}, "TOP_K attribute k: expected 1 to 7, found 8"},
        {{RZ_OP_TOP_K, {{F32, {T, 7}}}, top_k(0)}, "found 0"},
        {{RZ_OP_COPY, {{Q8, {T, 32}}}, {}}, "COPY x 'p': expected F32, F16 or BF16, found Q8_0"},
        {{RZ_OP_ADD, {{F32, {7}}}, {}}, "ADD: expected 2 to 2 inputs, found 1"},
        {{RZ_OP_ADD, {{F32, {7}}, kAbsent}, {}}, "ADD b: expected a tensor, found none"},
    };
    expect_errors(cases);
}

TEST(Infer, ChecksEveryOperandOfAttention) {
    const BadCase cases[] = {
        {{RZ_OP_ATTENTION, attention_with(0, {F32, {T, 7, 16}}), attention()},
         "ATTENTION k 'q': expected a number of heads that divides that of q [s0, 7, 16]"},
        {{RZ_OP_ATTENTION, attention_with(1, {F16, {64, 2, 16}}), attention()},
         "ATTENTION k 'q': expected a STATE"},
        {{RZ_OP_ATTENTION, attention_with(1, state(F16, {64, 2, 8})), attention()},
         "ATTENTION k 'q': expected D = 16 as in q [s0, 8, 16], found F16 [64, 2, 8]"},
        {{RZ_OP_ATTENTION, attention_with(2, state(F16, {32, 2, 16})), attention()},
         "ATTENTION v 'r': expected cells and heads as in k [64, 2, 16], found F16 [32, 2, 16]"},
        {{RZ_OP_ATTENTION, attention_with(3, {I32, {U}}), attention()}, "positions 's'"},
        {{RZ_OP_ATTENTION, attention_with(4, {F32, {T}}), attention()}, "sequences 't'"},
        {{RZ_OP_ATTENTION, attention_with(5, {I32, {5}}), attention()}, "pages 'u'"},
        {{RZ_OP_ATTENTION, attention_with(6, {I32, {4}}), attention()},
         "lengths 'v': expected I32 [s1] as in pages [s1, 5], found I32 [4]"},
        {{RZ_OP_ATTENTION, attention_with(7, {F32, {2}}), attention()},
         "sinks 'w': expected F32 [8] as in q"},
        {{RZ_OP_ATTENTION, attention_inputs(), attention([](auto &a) { a.page_size = 0; })},
         "page_size: expected at least 1"},
        {{RZ_OP_ATTENTION, attention_inputs(), attention([](auto &a) { a.causal = 2; })},
         "causal: expected 0 or 1, found 2"},
        {{RZ_OP_ATTENTION, attention_inputs(), attention([](auto &a) { a.softcap = -1; })},
         "softcap: expected zero or more"},
        {{RZ_OP_ATTENTION, attention_inputs(),
          attention([](auto &a) { a.alibi_max_bias = std::numeric_limits<float>::infinity(); })},
         "alibi_max_bias: expected a finite number"},
    };
    expect_errors(cases);
}

TEST(Infer, RefusesBadExperts) {
    const Operand logits{F32, {T, 12}}, w{F16, {6, 5, 7}}, x{F32, {T, 2, 7}}, ids{I32, {T, 2}};
    const BadCase cases[] = {
        {{RZ_OP_CLAMP, {{F32, {T}}}, clamp(2, 1)}, "CLAMP attribute low: expected at most high"},
        {{RZ_OP_CLAMP, {{F32, {T}}}, clamp(-INFINITY, 1)}, "CLAMP attribute low"},
        {{RZ_OP_CONCAT, {{F32, {T}}, {F32, {T}}}, {}}, "CONCAT a 'p': expected rank 2"},
        {{RZ_OP_CONCAT, {{F32, {T, 3, 7}}, {F32, {T, 2, 7}}}, {}}, "CONCAT b 'q'"},
        {{RZ_OP_CONCAT, {{F32, {T, 3, 7}}, {F32, {1, 3, 7}}}, {}}, "CONCAT b 'q'"},
        {{RZ_OP_CONCAT, {{F32, {T, 7}}, {F16, {T, 7}}}, {}}, "CONCAT b 'q': expected F32"},
        {{RZ_OP_ROUTE, {logits}, route(12, 0)}, "ROUTE attribute k: expected 1 to 8, found 0"},
        {{RZ_OP_ROUTE, {logits}, route(12, 9)}, "ROUTE attribute k"},
        {{RZ_OP_ROUTE, {logits}, route(12, 4, [](auto &a) { a.groups = 5; })},
         "ROUTE attribute groups: expected a divisor of 12"},
        {{RZ_OP_ROUTE, {logits}, route(12, 4, [](auto &a) { a.groups = 0; })}, "attribute groups"},
        {{RZ_OP_ROUTE, {logits}, route(12, 4, [](auto &a) { a.groups_used = 4; })},
         "attribute groups_used"},
        {{RZ_OP_ROUTE, {logits}, route(12, 4, [](auto &a) { a.group_top = 5; })},
         "attribute group_top"},
        {{RZ_OP_ROUTE, {logits}, route(12, 4, [](auto &a) { a.normalise = 2; })},
         "attribute normalise"},
        {{RZ_OP_ROUTE, {logits}, route(12, 4, [](auto &a) { a.scale = INFINITY; })},
         "attribute scale"},
        {{RZ_OP_ROUTE, {logits}, route(12, 4, [](auto &a) { a.gating = 3; })},
         "attribute gating",
         Code::unsupported},
        {{RZ_OP_ROUTE, {logits, {F32, {11}}}, route(12, 4)}, "ROUTE bias 'q'"},
        {{RZ_OP_EXPERT_MATMUL, {{F16, {5, 7}}, x, ids}, {}}, "EXPERT_MATMUL weight 'p'"},
        {{RZ_OP_EXPERT_MATMUL, {{F16, {6, 5, 8}}, x, ids}, {}}, "expected K = 7"},
        {{RZ_OP_EXPERT_MATMUL, {w, {F32, {T, 3, 7}}, ids}, {}}, "EXPERT_MATMUL x 'q'"},
        {{RZ_OP_EXPERT_MATMUL, {w, x}, {}}, "expected one row or 6 rows per token"},
        {{RZ_OP_EXPERT_MATMUL, {w, x, {F32, {T, 2}}}, {}}, "EXPERT_MATMUL experts 'r'"},
        {{RZ_OP_EXPERT_MATMUL, {w, x, ids, {F32, {5, 6}}}, {}}, "EXPERT_MATMUL bias 's'"},
        {{RZ_OP_WEIGHTED_SUM, {x, {F32, {T, 3}}}, {}}, "WEIGHTED_SUM weights 'q'"},
    };
    expect_errors(cases);
}

TEST(Infer, RefusesBadRecurrences) {
    const Operand places{I32, {T}}, x{F32, {T, 6}}, w{F32, {6, 4}}, s = state(F32, {2, 3, 6});
    const BadCase cases[] = {
        {{RZ_OP_SSM_CONV, {{F32, {2, 3, 6}}, x, w, places, places}, {}},
         "SSM_CONV state 'p': expected a STATE F32 [S, C-1, D]"},
        {{RZ_OP_SSM_CONV, {state(F16, {2, 3, 6}), x, w, places, places}, {}}, "expected a STATE"},
        {{RZ_OP_SSM_CONV, {s, {F32, {T, 5}}, w, places, places}, {}}, "SSM_CONV x 'q'"},
        {{RZ_OP_SSM_CONV, {s, x, {F32, {6, 3}}, places, places}, {}}, "SSM_CONV weight 'r'"},
        {{RZ_OP_SSM_CONV, {s, x, w, {I32, {7}}, places}, {}}, "SSM_CONV positions 's'"},
        {{RZ_OP_SSM_CONV, {s, x, w, places, {F32, {T}}}, {}}, "SSM_CONV sequences 't'"},
        {{RZ_OP_SSM_CONV, {s, x, w, places, places, {F32, {5}}}, {}}, "SSM_CONV bias 'u'"},
        {{RZ_OP_SSM_SCAN, scan_with(0, state(F32, {2, 6, 5})), {}}, "SSM_SCAN state 'p'"},
        {{RZ_OP_SSM_SCAN, scan_with(1, {F32, {T, 3, 6}}), {}}, "SSM_SCAN x 'q'"},
        {{RZ_OP_SSM_SCAN, scan_with(2, {F32, {T, 3}}), {}}, "SSM_SCAN dt 'r'"},
        {{RZ_OP_SSM_SCAN, scan_with(3, {F32, {6, 2}}), {}}, "SSM_SCAN a 's'"},
        {{RZ_OP_SSM_SCAN, scan_with(3, {I32, {6, 1}}), {}}, "SSM_SCAN a 's': expected F32"},
        {{RZ_OP_SSM_SCAN, scan_with(4, {F32, {T, 4, 5}}), {}},
         "SSM_SCAN b 't': expected groups that divide the 6 heads"},
        {{RZ_OP_SSM_SCAN, scan_with(5, {F32, {T, 3, 5}}), {}}, "SSM_SCAN c 'u'"},
        {{RZ_OP_SSM_SCAN, scan_with(7, {I32, {8}}), {}}, "SSM_SCAN sequences 'w'"},
        {{RZ_OP_SSM_SCAN, scan_with(7, places, {F32, {5}}), {}}, "SSM_SCAN d 'x'"},
    };
    expect_errors(cases);
}

TEST(Infer, RefusesWhatItDoesNotKnow) {
    rz_attr_scale flagged{};
    flagged.struct_size = sizeof flagged;
    flagged.flags = 1;
    Blob required(sizeof flagged);
    std::memcpy(required.data(), &flagged, sizeof flagged);
    const BadCase cases[] = {
        {{RZ_OP_COUNT, {{F32, {7}}}, {}}, "expected an op of 1..24, found 25", Code::unsupported},
        {{0, {}, {}}, "found 0", Code::unsupported},
        {{RZ_OP_ADD, {{F32, {7}}, {F32, {7}}}, {}, 2},
         "ADD: expected version 1, found 2",
         Code::unsupported},
        {{RZ_OP_UNARY, {{F32, {7}}}, unary(99)}, "UNARY attribute kind", Code::unsupported},
        {{RZ_OP_ROPE, {{F32, {T, 3, 10}}, {I32, {T}}}, rope(8, [](auto &a) { a.pairing = 2; })},
         "ROPE attribute pairing",
         Code::unsupported},
        {{RZ_OP_SCALE, {{F32, {7}}}, required}, "SCALE attribute flags", Code::unsupported},
    };
    expect_errors(cases);
}

// A newer core may append fields; unknown upper flag bits are hints.
TEST(Infer, AcceptsLongerAttributesAndUnknownHints) {
    Blob attributes = scale(3);
    attributes.resize(64);
    const uint32_t header[2] = {64, 1u << 20};
    std::memcpy(attributes.data(), header, sizeof header);
    EXPECT_TRUE((Call{RZ_OP_SCALE, {{F32, {7}}}, attributes}.infer().ok()));
    const uint32_t too_large[2] = {65, 0};
    std::memcpy(attributes.data(), too_large, sizeof too_large);
    EXPECT_FALSE((Call{RZ_OP_SCALE, {{F32, {7}}}, attributes}.infer().ok()));
}

} // namespace
} // namespace realizar
