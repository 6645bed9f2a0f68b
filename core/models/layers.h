// The vocabulary in which models are written: weights by name, linear layers with their optional
// bias, norms, attention with its cache, feed-forward networks and experts. Everything that two
// architectures share.
#pragma once

#include "core/models/model.h"

#include <map>
#include <string>

namespace realizar {

// Queries, keys and values of one layer, split into heads: [T, H, D].
struct Heads {
    TensorId q, k, v;
};

// RoPE of one layer and the divisors of its frequencies: a tensor of the file, numbers that the model
// computes, or neither.
struct LayerRope {
    RopeParams params;
    std::string tensor;
    std::vector<float> computed;
};

class StepBuilder {
  public:
    StepBuilder(const GgufFile &file, const ModelConfig &config, const StepShape &shape);

    // The step's data, see model.h.
    TensorId tokens() const { return tokens_; }
    TensorId positions() const { return attention_.positions; }
    RowPlaces places() const { return {attention_.positions, attention_.sequences}; }

    // A weight; a wrong shape or a missing tensor is an error of build(). Matrices keep the file's
    // type; vectors and tables are F32.
    TensorId matrix(const std::string &name, int64_t rows, int64_t columns);
    // One matrix per expert; "<part>_exps.weight" may also be "<part>.<i>.weight" for each of them.
    TensorId stack(const std::string &name, int64_t count, int64_t rows, int64_t columns);
    TensorId vector(const std::string &name, int64_t size);
    TensorId table(const std::string &name, int64_t rows, int64_t columns);
    TensorId optional_vector(const std::string &name, int64_t size);
    bool has(const std::string &name) const { return shape_of(name).rank > 0; }
    Shape shape_of(const std::string &name) const; // rank 0: no such tensor
    // F32 numbers that the model computes once; they load as a weight.
    TensorId constant(const std::string &name, std::vector<float> values);

    // y = x * W^T (+ bias): tensors "<name>.weight" and, if the file has it, "<name>.bias".
    TensorId linear(const std::string &name, TensorId x, int64_t rows);
    // By the architecture's kind, with the weight and the bias (LayerNorm) that the file has.
    TensorId norm(const std::string &name, TensorId x);
    TensorId rms_norm(const std::string &name, TensorId x);

    // [T, W]: rows of the embedding, scaled, normed and with positions as the model has it.
    TensorId embedding();
    // Projections, norms of queries and keys, RoPE, attention over the cache, output: [T, W] -> [T, W].
    TensorId attention(uint32_t layer, TensorId x);
    // RoPE as this layer has it, on x [T, H, D].
    TensorId rope(uint32_t layer, TensorId x);
    LayerRope layer_rope(uint32_t layer) const;
    // Appends k and v of this step to the layer's cache and attends over it. Without v the values
    // are the first value_width columns of the keys, and only keys are kept.
    // q [T, heads, key_width], k [T, kv_heads, key_width], v [T, kv_heads, value_width]
    //   -> [T, heads, value_width]
    TensorId cached_attention(uint32_t layer, const Heads &heads);
    // The feed-forward network of a layer or its experts: [T, W] -> [T, W].
    TensorId forward(uint32_t layer, TensorId x);
    // A state of this layer, kept for each sequence: F32 [S, shape...].
    TensorId sequence_state(uint32_t layer, const char *name, const Shape &shape, uint32_t which);

    // In the last layer only the rows that want logits, [R, ...]; else x.
    TensorId wanted_rows(uint32_t layer, TensorId x);
    // The output head, scaled and capped: "output.weight", or the embedding when the file ties them.
    TensorId head(TensorId hidden);

    GraphBuilder &graph() { return graph_; }
    const ModelConfig &config() const { return config_; }
    Result<Graph> build(TensorId logits) &&;
    // By key: what constant() was given.
    const std::map<uint64_t, std::vector<float>> &constants() const { return constants_; }

    // By key: the tensors that a stack is put together from.
    const std::map<uint64_t, std::vector<const GgufTensor *>> &stacks() const { return stacks_; }

  private:
    const GgufTensor *checked(const std::string &name, const Shape &shape);
    TensorId stack_of_matrices(const std::string &name, const Shape &shape);
    TensorId weight(const std::string &name, const Shape &shape, bool as_f32);
    Heads project(uint32_t layer, TensorId x);
    TensorId norm_heads(const std::string &name, TensorId x);
    TensorId clamp(TensorId x);
    std::string rope_factors(uint32_t layer) const;
    TensorId gated(uint32_t layer, const std::string &part, TensorId x, int64_t size);
    TensorId experts(uint32_t layer, TensorId x);
    TensorId shared_expert(uint32_t layer, TensorId x);
    TensorId expert_linear(const std::string &name, TensorId x, TensorId chosen, int64_t rows);

    const GgufFile &file_;
    const ModelConfig &config_;
    StepShape shape_;
    GraphBuilder graph_;
    Status status_;
    int64_t kv_symbol_ = 0;
    TensorId tokens_, cells_, rows_, rope_positions_;
    AttentionInputs attention_;
    TensorId window_cells_ = kNoTensor, window_pages_ = kNoTensor; // of layers with a window
    std::vector<TensorId> weights_; // by tensor index; a tied weight is one tensor
    std::map<uint64_t, std::vector<float>> constants_;
    std::map<std::string, TensorId> constant_ids_;
    std::map<uint64_t, std::vector<const GgufTensor *>> stacks_;
};

// Name of a tensor of layer i: "blk.<i>.<name>".
std::string layer_name(uint32_t layer, const char *name);

} // namespace realizar
