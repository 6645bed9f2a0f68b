#include "core/graph/builder.h"

#include "core/graph/infer.h"
#include "core/graph/layout.h"

#include <algorithm>
#include <cinttypes>

namespace realizar {

template <class... Args>
TensorId GraphBuilder::fail(const char *format, Args... args) {
    if (status_) status_ = make_error(Code::invalid_argument, "bad_graph", format, args...);
    return kNoTensor;
}

bool GraphBuilder::usable(TensorId id, const char *what) {
    if (!status_) return false;
    if (id < graph_.tensors_.size()) return true;
    fail("%s: expected a tensor, found none", what);
    return false;
}

int64_t GraphBuilder::symbol(int64_t min, int64_t max, int64_t hint) {
    rz_symbol symbol{};
    symbol.struct_size = sizeof symbol;
    symbol.min = min;
    symbol.max = max;
    symbol.hint = hint;
    graph_.symbols_.push_back(symbol);
    return RZ_SYMBOL(graph_.symbols_.size() - 1);
}

TensorId GraphBuilder::add_tensor(rz_tensor tensor, const std::string &name) {
    tensor.struct_size = sizeof tensor;
    tensor.name = graph_.names_.emplace_back(name).c_str();
    graph_.tensors_.push_back(tensor);
    return static_cast<TensorId>(graph_.tensors_.size() - 1);
}

TensorId GraphBuilder::leaf(rz_role role, const std::string &name, DType dtype, const Shape &shape,
                            uint64_t key) {
    if (!status_) return kNoTensor;
    if (shape.rank < 1 || shape.rank > RZ_MAX_RANK)
        return fail("'%s': expected 1 to %u dimensions, found %u", printable(name).c_str(),
                    RZ_MAX_RANK, shape.rank);
    rz_tensor tensor{};
    tensor.dtype = static_cast<rz_dtype>(dtype);
    tensor.role = role;
    tensor.rank = shape.rank;
    tensor.storage = static_cast<uint32_t>(graph_.tensors_.size());
    tensor.key = key;
    std::ranges::copy(shape.dims, tensor.dims);
    set_contiguous_strides(tensor);
    return add_tensor(tensor, name);
}

TensorId GraphBuilder::weight(const std::string &name, DType dtype, const Shape &shape,
                              uint64_t key) {
    for (TensorId id = 0; id < graph_.tensors_.size(); ++id) {
        const rz_tensor &tensor = graph_.tensors_[id];
        if (tensor.role == RZ_ROLE_WEIGHT && tensor.key == key && tensor.storage == id &&
            tensor.dtype == static_cast<rz_dtype>(dtype) && tensor_shape(tensor) == shape)
            return id;
    }
    return leaf(RZ_ROLE_WEIGHT, name, dtype, shape, key);
}

TensorId GraphBuilder::input(const std::string &name, DType dtype, const Shape &shape) {
    return leaf(RZ_ROLE_INPUT, name, dtype, shape, 0);
}

TensorId GraphBuilder::state(const std::string &name, DType dtype, const Shape &shape,
                             uint64_t key) {
    return leaf(RZ_ROLE_STATE, name, dtype, shape, key);
}

TensorId GraphBuilder::add_view(TensorId of, rz_tensor view) {
    view.storage = graph_.tensors_[of].storage;
    return add_tensor(view, graph_.tensors_[of].name);
}

TensorId GraphBuilder::reshape(TensorId x, const Shape &shape) {
    if (!usable(x, "reshape")) return kNoTensor;
    const Shape from = this->shape(x);
    rz_tensor view = graph_.tensors_[x];
    // A symbol stays where it is, so the numbers behind it must multiply to the same.
    const auto product = [](const Shape &of) {
        int64_t out = 1;
        for (uint32_t i = of.symbolic() ? 1 : 0; i < of.rank && i < RZ_MAX_RANK; ++i)
            if (__builtin_mul_overflow(out, of.dims[i], &out)) return int64_t{-1};
        return out;
    };
    const bool same_symbol =
        from.symbolic() == shape.symbolic() && (!from.symbolic() || from.dims[0] == shape.dims[0]);
    if (shape.rank < 1 || shape.rank > RZ_MAX_RANK || !same_symbol ||
        product(from) != product(shape) || !is_contiguous(view))
        return fail("reshape '%s': expected a contiguous tensor with as many elements as %s, "
                    "found %s%s",
                    view.name, shape.text().c_str(), is_contiguous(view) ? "" : "a slice ",
                    from.text().c_str());
    view.rank = shape.rank;
    std::ranges::copy(shape.dims, view.dims);
    set_contiguous_strides(view);
    return add_view(x, view);
}

TensorId GraphBuilder::slice_inner(TensorId x, int64_t begin, int64_t size) {
    if (!usable(x, "slice_inner")) return kNoTensor;
    rz_tensor view = graph_.tensors_[x];
    const DTypeInfo &info = *find_dtype(view.dtype);
    int64_t &inner = view.dims[view.rank - 1];
    if (begin < 0 || size < 1 || inner < size || begin > inner - size ||
        begin % info.block_elements != 0 || size % info.block_elements != 0)
        return fail("slice_inner '%s': expected columns within %s in whole blocks of %u, found "
                    "%" PRId64 " from %" PRId64,
                    view.name, shape(x).text().c_str(), info.block_elements, size, begin);
    inner = size;
    view.offset += static_cast<uint64_t>(begin / info.block_elements * info.block_bytes);
    return add_view(x, view);
}

TensorId GraphBuilder::split_inner(TensorId x, int64_t inner) {
    if (!usable(x, "split_inner")) return kNoTensor;
    rz_tensor view = graph_.tensors_[x];
    const DTypeInfo &info = *find_dtype(view.dtype);
    const int64_t whole = view.dims[view.rank - 1];
    if (view.rank == RZ_MAX_RANK || inner < 1 || whole < 1 || whole % inner != 0 ||
        inner % info.block_elements != 0)
        return fail("split_inner '%s': expected rank below %u and an innermost dimension that is "
                    "a multiple of %" PRId64 " in whole blocks of %u, found %s",
                    view.name, RZ_MAX_RANK, inner, info.block_elements, shape(x).text().c_str());
    view.dims[view.rank - 1] = whole / inner;
    view.strides[view.rank - 1] = inner / info.block_elements * info.block_bytes;
    view.dims[view.rank] = inner;
    view.strides[view.rank] = info.block_bytes;
    ++view.rank;
    return add_view(x, view);
}

TensorId GraphBuilder::node(uint32_t op, std::span<const TensorId> inputs,
                            std::span<const std::byte> attributes) {
    if (!status_) return kNoTensor;
    std::vector<const rz_tensor *> operands;
    for (const TensorId id : inputs) {
        if (id != kNoTensor && id >= graph_.tensors_.size())
            return fail("%s: expected a tensor below %zu, found %u", op_name(op),
                        graph_.tensors_.size(), id);
        operands.push_back(id == kNoTensor ? nullptr : &graph_.tensors_[id]);
    }
    auto inferred = infer_outputs(op, 1, operands, attributes.data(), attributes.size());
    if (!inferred) {
        status_ = std::move(inferred).error();
        return kNoTensor;
    }
    const std::string name = std::string(op_name(op)) + "." + std::to_string(graph_.nodes_.size());
    std::vector<TensorId> outputs;
    for (const InferredOutput &output : *inferred) {
        if (output.aliases_input0) {
            outputs.push_back(inputs[0]);
            continue;
        }
        rz_tensor tensor{};
        tensor.dtype = output.dtype;
        tensor.role = RZ_ROLE_TEMP;
        tensor.rank = output.rank;
        tensor.storage = static_cast<uint32_t>(graph_.tensors_.size());
        std::ranges::copy(output.dims, tensor.dims);
        set_contiguous_strides(tensor);
        outputs.push_back(add_tensor(tensor, name));
    }
    const TensorId first = outputs[0];
    graph_.append_node(op, 1, {inputs.begin(), inputs.end()}, std::move(outputs),
                       {attributes.begin(), attributes.end()});
    return first;
}

void GraphBuilder::set_name(TensorId id, const std::string &name) {
    if (!usable(id, "set_name")) return;
    graph_.tensors_[id].name = graph_.names_.emplace_back(name).c_str();
}

TensorId GraphBuilder::output(TensorId id, const std::string &name) {
    if (!usable(id, "output")) return kNoTensor;
    const rz_tensor &tensor = graph_.tensors_[id];
    const bool listed = std::ranges::find(graph_.outputs_, id) != graph_.outputs_.end();
    if (tensor.role != RZ_ROLE_TEMP || tensor.storage != id || listed)
        id = copy(id, static_cast<DType>(tensor.dtype));
    if (!status_) return kNoTensor;
    set_name(id, name);
    graph_.outputs_.push_back(id);
    return id;
}

Result<Graph> GraphBuilder::build() && {
    if (!status_) return std::move(status_).error();
    RZ_TRY(validate_graph(graph_.view()));
    return std::move(graph_);
}

} // namespace realizar
