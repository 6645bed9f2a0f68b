// Weights, norms, embedding and head.
#include "core/models/layers.h"

#include "core/quant/codec.h"

#include <algorithm>

namespace realizar {

std::string layer_name(uint32_t layer, const char *name) {
    return "blk." + std::to_string(layer) + "." + name;
}

namespace {

// "blk.0.ffn_up_exps.weight" -> "blk.0.ffn_up.7.weight"
std::string matrix_of_stack(const std::string &name, int64_t index) {
    constexpr std::string_view kEnd = "_exps.weight";
    if (!name.ends_with(kEnd)) return "";
    return name.substr(0, name.size() - kEnd.size()) + "." + std::to_string(index) + ".weight";
}

} // namespace

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
    rope_positions_ = attention_.positions;
    if (shape.streams && config.traits.rope != RopeKind::none)
        rope_positions_ = graph_.input(kInputRopePositions, DType::I32, {t});
    if (config.widest_window() > 0 && shape.window_cells > 0) {
        window_cells_ = graph_.input(kInputWindowCells, DType::I32, {t});
        window_pages_ = graph_.input(kInputWindowPages, DType::I32, {shape.sequences, shape.pages});
    }
}

Shape StepBuilder::shape_of(const std::string &name) const {
    const GgufTensor *tensor = file_.find_tensor(name);
    Shape shape;
    if (!tensor || tensor->dims.size() > shape.dims.size()) return shape;
    shape.rank = static_cast<uint32_t>(tensor->dims.size());
    std::copy(tensor->dims.begin(), tensor->dims.end(), shape.dims.begin());
    return shape;
}

// The tensor, or nullptr and an error of build() if it is missing or unfit.
const GgufTensor *StepBuilder::checked(const std::string &name, const Shape &shape) {
    const GgufTensor *tensor = file_.find_tensor(name);
    const Shape found = shape_of(name);
    Status status;
    if (!tensor)
        status = make_error(Code::malformed, "missing_tensor",
                            "tensor '%s' %s: expected in the file, found nothing", name.c_str(),
                            shape.text().c_str());
    else if (found != shape)
        status = make_error(Code::malformed, "shape_mismatch", "tensor '%s': expected %s, found %s",
                            name.c_str(), shape.text().c_str(), found.text().c_str());
    else if (!find_codec(tensor->dtype))
        status = make_error(Code::unsupported, "bad_tensor_type",
                            "tensor '%s': expected a type that this build computes with, found %s",
                            name.c_str(), dtype_info(tensor->dtype).name);
    if (status.ok()) return tensor;
    if (status_.ok()) status_ = std::move(status);
    return nullptr;
}

TensorId StepBuilder::weight(const std::string &name, const Shape &shape, bool as_f32) {
    const GgufTensor *tensor = checked(name, shape);
    // A stand-in of the right shape lets the rest of the model be built and checked.
    if (!tensor) return graph_.weight(name, DType::F32, shape, 0);
    const auto index = static_cast<size_t>(tensor - file_.tensors().data());
    if (weights_[index] == kNoTensor)
        weights_[index] =
            graph_.weight(name, as_f32 ? DType::F32 : tensor->dtype, shape, index + 1);
    return weights_[index];
}

TensorId StepBuilder::matrix(const std::string &name, int64_t rows, int64_t columns) {
    return weight(name, {rows, columns}, false);
}

TensorId StepBuilder::stack(const std::string &name, int64_t count, int64_t rows, int64_t columns) {
    const Shape shape{count, rows, columns};
    return has(name) || !has(matrix_of_stack(name, 0)) ? weight(name, shape, false)
                                                       : stack_of_matrices(name, shape);
}

// Files from before experts were stacked.
TensorId StepBuilder::stack_of_matrices(const std::string &name, const Shape &shape) {
    std::vector<const GgufTensor *> matrices;
    for (int64_t i = 0; i < shape.dims[0]; ++i) {
        const std::string part = matrix_of_stack(name, i);
        const GgufTensor *tensor = checked(part, {shape.dims[1], shape.dims[2]});
        if (!tensor) return graph_.weight(name, DType::F32, shape, 0);
        matrices.push_back(tensor);
        const DType dtype = matrices.front()->dtype;
        if (tensor->dtype != dtype && status_.ok())
            status_ =
                make_error(Code::unsupported, "bad_tensor_type",
                           "tensor '%s': expected %s as the first expert has, found %s",
                           part.c_str(), dtype_info(dtype).name, dtype_info(tensor->dtype).name);
    }
    const DType dtype = matrices.front()->dtype;
    const uint64_t key = kConstantKeys + constants_.size() + stacks_.size();
    stacks_[key] = std::move(matrices);
    return graph_.weight(name, dtype, shape, key);
}

TensorId StepBuilder::vector(const std::string &name, int64_t size) {
    return weight(name, {size}, true);
}

TensorId StepBuilder::table(const std::string &name, int64_t rows, int64_t columns) {
    return weight(name, {rows, columns}, true);
}

TensorId StepBuilder::optional_vector(const std::string &name, int64_t size) {
    return has(name) ? vector(name, size) : kNoTensor;
}

TensorId StepBuilder::constant(const std::string &name, std::vector<float> values) {
    const auto known = constant_ids_.find(name);
    if (known != constant_ids_.end()) return known->second;
    const uint64_t key = kConstantKeys + constants_.size() + stacks_.size();
    const TensorId id = graph_.weight(name, DType::F32, {static_cast<int64_t>(values.size())}, key);
    constants_[key] = std::move(values);
    return constant_ids_[name] = id;
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

TensorId StepBuilder::norm(const std::string &name, TensorId x) {
    if (config_.traits.norm == NormKind::rms) return rms_norm(name, x);
    const int64_t size = graph_.shape(x).inner();
    const TensorId weight = vector(name + ".weight", size);
    return graph_.layer_norm(x, weight, optional_vector(name + ".bias", size),
                             config_.norm_epsilon);
}

TensorId StepBuilder::embedding() {
    TensorId x =
        graph_.get_rows(matrix("token_embd.weight", config_.vocabulary, config_.width), tokens_);
    if (config_.embedding_scale != 1) x = graph_.scale(x, config_.embedding_scale);
    if (has("position_embd.weight")) { // learned, for as many positions as the model was trained on
        const TensorId learned =
            matrix("position_embd.weight", config_.context, config_.width); // [context, W]
        x = graph_.add(x, graph_.get_rows(learned, positions()));
    }
    return has("token_embd_norm.weight") ? norm("token_embd_norm", x) : x;
}

TensorId StepBuilder::sequence_state(uint32_t layer, const char *name, const Shape &shape,
                                     uint32_t which) {
    Shape all = shape;
    all.rank = shape.rank + 1;
    std::copy_n(shape.dims.begin(), shape.rank, all.dims.begin() + 1);
    all.dims[0] = shape_.sequences;
    return graph_.state(layer_name(layer, name), DType::F32, all,
                        state_key(layer, which, StateKind::sequences));
}

TensorId StepBuilder::wanted_rows(uint32_t layer, TensorId x) {
    return layer + 1 == config_.layers ? graph_.get_rows(x, rows_) : x;
}

TensorId StepBuilder::head(TensorId hidden) {
    const std::string name = has("output.weight") ? "output" : "token_embd";
    TensorId logits = linear(name, hidden, config_.vocabulary);
    if (config_.logit_scale != 1) logits = graph_.scale(logits, config_.logit_scale);
    if (config_.logit_softcap > 0) {
        const float cap = config_.logit_softcap;
        logits = graph_.unary(UnaryKind::tanh, graph_.scale(logits, 1 / cap));
        logits = graph_.scale(logits, cap);
    }
    return logits;
}

Result<Graph> StepBuilder::build(TensorId logits) && {
    RZ_TRY(std::move(status_));
    graph_.output(logits, kOutputLogits);
    return std::move(graph_).build();
}

} // namespace realizar
