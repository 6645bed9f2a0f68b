// GraphBuilder: how models write their graph. One method per operator; each checks its operands by
// the operator's contract (backend.h, section 5) and infers the shape of the result.
//
// The first error sticks: later calls do nothing and return kNoTensor (whose shape is empty), and
// build() reports it, so a model reads from top to bottom without a check per line.
#pragma once

#include "core/graph/graph.h"

#include <string>

namespace realizar {

struct RopeParams {
    bool halves = false; // pairs (i, i + rotated/2) instead of (2i, 2i+1)
    uint32_t rotated = 0;
    float base = 10000.0f;
    float scale = 1.0f;
    float extrapolation = 0.0f;
    float attention_factor = 1.0f;
    float beta_fast = 32.0f;
    float beta_slow = 1.0f;
    uint32_t original_context = 0;
};

struct AttentionParams {
    float scale = 1.0f;
    float softcap = 0.0f;
    float alibi_max_bias = 0.0f;
    bool causal = true;
    uint32_t window = 0;
    uint32_t page_size = 1;
    uint32_t kv_symbol = RZ_NONE;
};

// The tensors that every attention of a step shares.
struct AttentionInputs {
    TensorId positions = kNoTensor; // I32 [T]
    TensorId sequences = kNoTensor; // I32 [T]
    TensorId pages = kNoTensor;     // I32 [S, P]
    TensorId lengths = kNoTensor;   // I32 [S]
};

struct RouteParams {
    bool sigmoid = false; // else softmax
    uint32_t k = 1;
    uint32_t groups = 1, groups_used = 1, group_top = 1;
    bool normalise = false;
    float scale = 1.0f;
};

// Where the rows of a recurrent layer belong.
struct RowPlaces {
    TensorId positions = kNoTensor; // I32 [T]
    TensorId sequences = kNoTensor; // I32 [T]
};

// Operands of SSM_SCAN; d may be absent.
struct ScanInputs {
    TensorId x, dt, a, b, c, d = kNoTensor;
};

enum class UnaryKind : uint32_t {
    silu = RZ_UNARY_SILU,
    gelu = RZ_UNARY_GELU,
    gelu_erf = RZ_UNARY_GELU_ERF,
    gelu_quick = RZ_UNARY_GELU_QUICK,
    relu = RZ_UNARY_RELU,
    relu_squared = RZ_UNARY_RELU_SQUARED,
    sigmoid = RZ_UNARY_SIGMOID,
    tanh = RZ_UNARY_TANH,
};

class GraphBuilder {
  public:
    GraphBuilder() = default;
    // Goes on with a finished graph: more nodes behind its own, more outputs.
    explicit GraphBuilder(Graph graph) : graph_(std::move(graph)) {}

    // Leaves. dims[0] of inputs may be symbol(...). A weight that is asked for again (same key,
    // type and shape) is the same tensor.
    int64_t symbol(int64_t min, int64_t max, int64_t hint); // a value for dims[0]
    TensorId weight(const std::string &name, DType dtype, const Shape &shape, uint64_t key);
    TensorId input(const std::string &name, DType dtype, const Shape &shape);
    TensorId state(const std::string &name, DType dtype, const Shape &shape, uint64_t key);

    // Views: the same bytes under another shape; no node. Slices keep outer strides.
    TensorId reshape(TensorId x, const Shape &shape);              // x contiguous
    TensorId slice_inner(TensorId x, int64_t begin, int64_t size); // columns of the innermost dim
    // Splits the innermost dimension: [..., a*b] -> [..., a, b]; works on strided rows too.
    TensorId split_inner(TensorId x, int64_t inner);

    // Operators, named as in backend.h.
    TensorId get_rows(TensorId table, TensorId ids);
    TensorId matmul(TensorId weight, TensorId x);
    TensorId add(TensorId a, TensorId b);
    TensorId mul(TensorId a, TensorId b);
    TensorId scale(TensorId x, float scale, float bias = 0.0f);
    TensorId rms_norm(TensorId x, TensorId weight, float epsilon);
    TensorId layer_norm(TensorId x, TensorId weight, TensorId bias, float epsilon);
    TensorId rope(TensorId x, TensorId positions, TensorId factors, const RopeParams &params);
    TensorId kv_write(TensorId cache, TensorId rows, TensorId cells);
    TensorId attention(TensorId q, TensorId k, TensorId v, const AttentionInputs &inputs,
                       TensorId sinks, const AttentionParams &params);
    TensorId unary(UnaryKind kind, TensorId x);
    TensorId glu(UnaryKind kind, TensorId gate, TensorId up);
    TensorId softmax(TensorId x, float scale);
    TensorId argmax(TensorId x);
    struct TopK {
        TensorId values, indices;
    };
    TopK top_k(TensorId x, uint32_t k);
    TensorId sample(TensorId logits, TensorId tokens, TensorId draws);
    TensorId copy(TensorId x, DType dtype);
    TensorId clamp(TensorId x, float low, float high);
    TensorId concat(TensorId a, TensorId b);
    struct Routes {
        TensorId weights, experts;
    };
    Routes route(TensorId logits, TensorId bias, const RouteParams &params);
    TensorId expert_matmul(TensorId weight, TensorId x, TensorId experts, TensorId bias);
    TensorId weighted_sum(TensorId x, TensorId weights);
    TensorId ssm_conv(TensorId state, TensorId x, TensorId weight, TensorId bias,
                      const RowPlaces &rows);
    TensorId ssm_scan(TensorId state, const ScanInputs &inputs, const RowPlaces &rows);

    // Any op by number, for tests and generated graphs: checks and infers like the methods above.
    // Returns the first output; further outputs have the following indices.
    TensorId node(uint32_t op, std::span<const TensorId> inputs,
                  std::span<const std::byte> attributes = {});

    void set_name(TensorId id, const std::string &name);
    // A view, a leaf and a tensor that is an output already are copied first. Returns the output.
    TensorId output(TensorId id, const std::string &name);
    Shape shape(TensorId id) const { return graph_.shape(id); }

    // The finished graph, or the first error with the name of the op and tensor.
    Result<Graph> build() &&;

  private:
    TensorId leaf(rz_role role, const std::string &name, DType dtype, const Shape &shape,
                  uint64_t key);
    TensorId add_tensor(rz_tensor tensor, const std::string &name);
    TensorId add_view(TensorId of, rz_tensor view);
    TensorId op(uint32_t op, std::initializer_list<TensorId> inputs);
    template <class T>
    TensorId op(uint32_t op, std::initializer_list<TensorId> inputs, T attributes);
    TensorId second_result(TensorId first) const;
    bool usable(TensorId id, const char *what);
    template <class... Args>
    TensorId fail(const char *format, Args... args);

    Graph graph_;
    Status status_;
};

} // namespace realizar
