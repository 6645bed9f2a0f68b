// The vocabulary in which models are written: weights by name, linear layers with their optional
// bias, the attention block with its cache. Everything that two architectures share.
#pragma once

#include "core/models/model.h"

#include <string>

namespace realizar {

class StepBuilder {
  public:
    StepBuilder(const GgufFile &file, const ModelConfig &config, const StepShape &shape);

    // The step's data, see model.h.
    TensorId tokens() const { return tokens_; }
    TensorId positions() const { return attention_.positions; }

    // A weight matrix or vector; a wrong shape or a missing tensor is an error of build().
    TensorId matrix(const std::string &name, int64_t rows, int64_t columns);
    TensorId vector(const std::string &name, int64_t size); // F32
    TensorId optional_vector(const std::string &name, int64_t size);
    bool has(const std::string &name) const;

    // y = x * W^T (+ bias): tensors "<name>.weight" and, if the file has it, "<name>.bias".
    TensorId linear(const std::string &name, TensorId x, int64_t rows);
    TensorId rms_norm(const std::string &name, TensorId x);
    // Appends k and v of this step to the layer's cache and attends over it.
    // q [T, heads, key_width], k [T, kv_heads, key_width], v [T, kv_heads, value_width]
    //   -> [T, heads * value_width]
    TensorId cached_attention(uint32_t layer, TensorId q, TensorId k, TensorId v,
                              AttentionParams params);
    // The rows that want logits, [R, width].
    TensorId logit_rows(TensorId hidden);
    // The output head: "output.weight", or the embedding when the file ties them.
    TensorId head(TensorId hidden);

    GraphBuilder &graph() { return graph_; }
    const ModelConfig &config() const { return config_; }
    Result<Graph> build(TensorId logits) &&;

  private:
    TensorId weight(const std::string &name, const Shape &shape, bool as_f32);

    const GgufFile &file_;
    const ModelConfig &config_;
    StepShape shape_;
    GraphBuilder graph_;
    Status status_;
    int64_t kv_symbol_ = 0;
    TensorId tokens_, cells_, rows_;
    AttentionInputs attention_;
    std::vector<TensorId> weights_; // by tensor index; a tied weight is one tensor
};

// Name of a tensor of layer i: "blk.<i>.<name>".
std::string layer_name(uint32_t layer, const char *name);

} // namespace realizar
