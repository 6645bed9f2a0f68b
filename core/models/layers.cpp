#include "core/models/layers.h"

#include "core/quant/codec.h"

namespace realizar {

std::string layer_name(uint32_t layer, const char *name) {
    return "blk." + std::to_string(layer) + "." + name;
}

StepBuilder::StepBuilder(const GgufFile &file, const ModelConfig &config, const StepShape &shape)
    : file_(file), config_(config), shape_(shape), weights_(file.tensors().size(), kNoTensor) {
    // In the order of StepSymbol.
    const int64_t t = graph_.symbol(1, shape.max_tokens, shape.max_tokens);
    const int64_t r = graph_.symbol(1, shape.max_logits, 1);
    const int64_t positions = int64_t{shape.pages} * shape.page_size;
    kv_symbol_ = graph_.symbol(0, positions, positions);

    tokens_ = graph_.input(kInputTokens, DType::I32, {t});
    attention_.positions = graph_.input(kInputPositions, DType::I32, {t});
    attention_.sequences = graph_.input(kInputSequences, DType::I32, {t});
    cells_ = graph_.input(kInputCells, DType::I32, {t});
    attention_.pages = graph_.input(kInputPages, DType::I32, {shape.sequences, shape.pages});
    attention_.lengths = graph_.input(kInputLengths, DType::I32, {shape.sequences});
    rows_ = graph_.input(kInputLogitRows, DType::I32, {r});
}

bool StepBuilder::has(const std::string &name) const { return file_.find_tensor(name) != nullptr; }

TensorId StepBuilder::weight(const std::string &name, const Shape &shape, bool as_f32) {
    const GgufTensor *tensor = file_.find_tensor(name);
    Shape found;
    if (tensor) {
        found.rank = static_cast<uint32_t>(tensor->dims.size());
        std::copy(tensor->dims.begin(), tensor->dims.end(), found.dims.begin());
    }
    if (!tensor || found != shape) {
        if (status_.ok())
            status_ = tensor ? make_error(Code::malformed, "shape_mismatch",
                                          "tensor '%s': expected %s, found %s", name.c_str(),
                                          shape.text().c_str(), found.text().c_str())
                             : make_error(Code::malformed, "missing_tensor",
                                          "tensor '%s' %s: expected in the file, found nothing",
                                          name.c_str(), shape.text().c_str());
        // A stand-in of the right shape lets the rest of the model be built and checked.
        return graph_.weight(name, DType::F32, shape, 0);
    }
    if (!find_codec(tensor->dtype) && status_.ok())
        status_ = make_error(Code::unsupported, "bad_tensor_type",
                             "tensor '%s': expected a type that this build computes with, found %s",
                             name.c_str(), dtype_info(tensor->dtype).name);
    const auto index = static_cast<size_t>(tensor - file_.tensors().data());
    if (weights_[index] == kNoTensor)
        weights_[index] =
            graph_.weight(name, as_f32 ? DType::F32 : tensor->dtype, shape, index + 1);
    return weights_[index];
}

TensorId StepBuilder::matrix(const std::string &name, int64_t rows, int64_t columns) {
    return weight(name, {rows, columns}, false);
}

TensorId StepBuilder::vector(const std::string &name, int64_t size) {
    return weight(name, {size}, true);
}

TensorId StepBuilder::optional_vector(const std::string &name, int64_t size) {
    return has(name) ? vector(name, size) : kNoTensor;
}

TensorId StepBuilder::linear(const std::string &name, TensorId x, int64_t rows) {
    const TensorId y = graph_.matmul(matrix(name + ".weight", rows, graph_.shape(x).inner()), x);
    const TensorId bias = optional_vector(name + ".bias", rows);
    return bias == kNoTensor ? y : graph_.add(y, bias);
}

TensorId StepBuilder::rms_norm(const std::string &name, TensorId x) {
    const TensorId weight = vector(name + ".weight", graph_.shape(x).inner());
    return graph_.rms_norm(x, weight, config_.norm_epsilon);
}

TensorId StepBuilder::cached_attention(uint32_t layer, TensorId q, TensorId k, TensorId v,
                                       AttentionParams params) {
    // State keys: two per layer after those of the weights, the same in all graphs of the model.
    const auto cache = [&](const char *name, DType dtype, uint32_t width, uint64_t which) {
        return graph_.state(layer_name(layer, name), dtype, {shape_.cells, config_.kv_heads, width},
                            file_.tensors().size() + 1 + uint64_t{layer} * 2 + which);
    };
    const TensorId keys =
        graph_.kv_write(cache("cache_k", shape_.key_type, config_.key_width, 0), k, cells_);
    const TensorId values =
        graph_.kv_write(cache("cache_v", shape_.value_type, config_.value_width, 1), v, cells_);
    params.page_size = shape_.page_size;
    params.kv_symbol = RZ_SYMBOL_INDEX(kv_symbol_);
    const TensorId out = graph_.attention(q, keys, values, attention_, kNoTensor, params);
    return graph_.reshape(out,
                          {graph_.shape(q).dims[0], int64_t{config_.heads} * config_.value_width});
}

TensorId StepBuilder::logit_rows(TensorId hidden) { return graph_.get_rows(hidden, rows_); }

TensorId StepBuilder::head(TensorId hidden) {
    const std::string name = has("output.weight") ? "output" : "token_embd";
    return linear(name, hidden, config_.vocabulary);
}

Result<Graph> StepBuilder::build(TensorId logits) && {
    RZ_TRY(std::move(status_));
    graph_.output(logits, kOutputLogits);
    return std::move(graph_).build();
}

} // namespace realizar
