#include "core/graph/graph.h"

#include "core/graph/infer.h"
#include "core/graph/layout.h"
#include "core/graph/op_contract.h"

#include <algorithm>
#include <cinttypes>

namespace realizar {
namespace {

template <class... Args>
Error bad_graph(const char *format, Args... args) {
    return make_error(Code::invalid_argument, "bad_graph", format, args...);
}

// "tensor 7 'blk.0.attn_q.weight'"
std::string tensor_text(uint32_t index, const rz_tensor &tensor) {
    std::string text = "tensor " + std::to_string(index);
    if (tensor.name != nullptr) text += " '" + printable(tensor.name) + "'";
    return text;
}

// The rules that every struct of the ABI follows: at least the fields of 0.1, no required flag
// that we do not know.
template <class T>
Status check_header(const T &value, const char *what, uint32_t index, uint32_t room) {
    if (value.struct_size < sizeof(T) || value.struct_size > room)
        return bad_graph("%s %u struct_size: expected %zu to %u, found %u", what, index, sizeof(T),
                         room, value.struct_size);
    if ((value.flags & 0xffffu) != 0)
        return make_error(Code::unsupported, "unsupported_flags",
                          "%s %u flags: expected no required bit, found 0x%x", what, index,
                          value.flags);
    return {};
}

Status check_array(const char *what, const void *data, uint32_t count, uint32_t stride,
                   size_t least) {
    if (count == 0) return {};
    if (data == nullptr) return bad_graph("%ss: expected an array of %u, found NULL", what, count);
    if (stride < least || stride % alignof(uint64_t) != 0)
        return bad_graph("%s stride: expected a multiple of 8 from %zu on, found %u", what, least,
                         stride);
    if (reinterpret_cast<uintptr_t>(data) % alignof(uint64_t) != 0)
        return bad_graph("%ss: expected an address that is a multiple of 8, found %p", what, data);
    return {};
}

// One pass over a graph. Methods run in the order in which they stand; each relies on the former.
class Validator {
  public:
    Validator(const rz_graph &graph, std::vector<bool> *unknown)
        : graph_(graph), unknown_nodes_(unknown) {}
    Status run();

  private:
    Status check_arrays() const;
    Status check_symbol(uint32_t index) const;
    Status check_tensor(uint32_t index);
    Status check_dims(uint32_t index, const rz_tensor &tensor, const DTypeInfo &info) const;
    Status check_view(uint32_t index, const rz_tensor &tensor, const DTypeInfo &info) const;
    Status check_keys() const;
    Status check_operands(uint32_t index, const rz_node &node) const;
    Status check_contract(uint32_t index, const rz_node &node) const;
    Status check_output(uint32_t index, const rz_node &node, uint32_t i,
                        const InferredOutput &inferred) const;
    Status check_node(uint32_t index);
    Status check_outputs() const;
    bool lenient() const { return unknown_nodes_ != nullptr; }
    bool touches_unknown_tensor(const rz_node &node) const;
    int64_t outermost(const rz_tensor &tensor, bool largest) const;

    const rz_graph &graph_;
    std::vector<bool> *unknown_nodes_;
    std::vector<bool> unknown_tensors_; // of a type we do not know
    std::vector<bool> written_;         // by storage
};

Status Validator::run() {
    RZ_TRY(check_arrays());
    if (lenient()) unknown_nodes_->assign(graph_.node_count, false);
    unknown_tensors_.assign(graph_.tensor_count, false);
    written_.assign(graph_.tensor_count, false);
    for (uint32_t i = 0; i < graph_.symbol_count; ++i)
        RZ_TRY(check_symbol(i));
    for (uint32_t i = 0; i < graph_.tensor_count; ++i)
        RZ_TRY(check_tensor(i));
    RZ_TRY(check_keys());
    for (uint32_t i = 0; i < graph_.node_count; ++i)
        RZ_TRY(check_node(i));
    return check_outputs();
}

Status Validator::check_arrays() const {
    RZ_TRY(check_header(graph_, "graph", 0, UINT32_MAX));
    RZ_TRY(check_array("tensor", graph_.tensors, graph_.tensor_count, graph_.tensor_stride,
                       sizeof(rz_tensor)));
    RZ_TRY(
        check_array("node", graph_.nodes, graph_.node_count, graph_.node_stride, sizeof(rz_node)));
    RZ_TRY(check_array("symbol", graph_.symbols, graph_.symbol_count, graph_.symbol_stride,
                       sizeof(rz_symbol)));
    if (graph_.output_count > 0 && graph_.outputs == nullptr)
        return bad_graph("outputs: expected an array of %u, found NULL", graph_.output_count);
    return {};
}

Status Validator::check_symbol(uint32_t index) const {
    const rz_symbol &symbol = symbol_at(graph_, index);
    RZ_TRY(check_header(symbol, "symbol", index, graph_.symbol_stride));
    if (symbol.min < 0 || symbol.min > symbol.hint || symbol.hint > symbol.max ||
        symbol.max > kMaxDim)
        return bad_graph("symbol %u: expected 0 <= min <= hint <= max <= %" PRId64
                         ", found min %" PRId64 ", hint %" PRId64 ", max %" PRId64,
                         index, kMaxDim, symbol.min, symbol.hint, symbol.max);
    return {};
}

Status Validator::check_tensor(uint32_t index) {
    const rz_tensor &tensor = tensor_at(graph_, index);
    RZ_TRY(check_header(tensor, "tensor", index, graph_.tensor_stride));
    const std::string text = tensor_text(index, tensor);
    if (tensor.rank < 1 || tensor.rank > RZ_MAX_RANK)
        return bad_graph("%s rank: expected 1 to %u, found %u", text.c_str(), RZ_MAX_RANK,
                         tensor.rank);
    if (tensor.role > RZ_ROLE_STATE)
        return make_error(Code::unsupported, "unsupported_role",
                          "%s role: expected 0 to %u, found %u", text.c_str(), RZ_ROLE_STATE,
                          tensor.role);
    if (tensor.storage >= graph_.tensor_count)
        return bad_graph("%s storage: expected an index below %u, found %u", text.c_str(),
                         graph_.tensor_count, tensor.storage);
    const DTypeInfo *info = find_dtype(tensor.dtype);
    if (info == nullptr) {
        unknown_tensors_[index] = true;
        if (lenient()) return {};
        return make_error(Code::unsupported, "unsupported_dtype",
                          "%s: expected a known element type, found %u", text.c_str(),
                          tensor.dtype);
    }
    RZ_TRY(check_dims(index, tensor, *info));
    if (tensor.storage != index) return check_view(index, tensor, *info);
    if (tensor.offset != 0)
        return bad_graph("%s offset: expected 0 as it owns its bytes, found %" PRIu64, text.c_str(),
                         tensor.offset);
    if (!is_contiguous(tensor))
        return bad_graph("%s strides: expected those of a contiguous %s as it owns its bytes",
                         text.c_str(), tensor_shape(tensor).text().c_str());
    return {};
}

Status Validator::check_dims(uint32_t index, const rz_tensor &tensor, const DTypeInfo &info) const {
    const std::string text = tensor_text(index, tensor);
    const bool may_vary = tensor.role == RZ_ROLE_TEMP || tensor.role == RZ_ROLE_INPUT;
    for (uint32_t d = 0; d < tensor.rank; ++d) {
        const int64_t dim = tensor.dims[d];
        if (dim < 0 && d == 0 && may_vary && RZ_SYMBOL_INDEX(dim) < graph_.symbol_count &&
            dim == RZ_SYMBOL(RZ_SYMBOL_INDEX(dim)))
            continue;
        if (dim < 1 || dim > kMaxDim)
            return bad_graph("%s dims[%u]: expected 1 to %" PRId64 "%s, found %" PRId64,
                             text.c_str(), d, kMaxDim,
                             d == 0 && may_vary ? " or a symbol of the graph" : "", dim);
    }
    const int64_t inner = tensor.dims[tensor.rank - 1];
    if (info.block_elements > 1 && (inner < 1 || inner % info.block_elements != 0))
        return bad_graph("%s: expected a multiple of the %u elements of a %s block as innermost "
                         "dimension, found %s",
                         text.c_str(), info.block_elements, info.name,
                         tensor_shape(tensor).text().c_str());
    for (uint32_t d = 0; d < tensor.rank; ++d) {
        const int64_t stride = tensor.strides[d];
        const bool inner_most = d + 1 == tensor.rank;
        if (stride < 1 || stride % info.block_bytes != 0 ||
            stride > static_cast<int64_t>(kMaxTensorBytes) ||
            (inner_most && stride != info.block_bytes))
            return bad_graph("%s strides[%u]: expected %s%u, found %" PRId64, text.c_str(), d,
                             inner_most ? "" : "a positive multiple of ", info.block_bytes, stride);
    }
    const int64_t most = outermost(tensor, true);
    if (tensor_span(tensor, most) > kMaxTensorBytes ||
        tensor_elements(tensor, most) > kMaxTensorBytes)
        return bad_graph("%s %s: expected at most %" PRIu64 " bytes and elements", text.c_str(),
                         tensor_shape(tensor).text().c_str(), kMaxTensorBytes);
    return {};
}

int64_t Validator::outermost(const rz_tensor &tensor, bool largest) const {
    const int64_t dim = tensor.dims[0];
    if (dim >= 0) return dim;
    const rz_symbol &symbol = symbol_at(graph_, RZ_SYMBOL_INDEX(dim));
    return largest ? symbol.max : symbol.min;
}

Status Validator::check_view(uint32_t index, const rz_tensor &tensor, const DTypeInfo &info) const {
    const std::string text = tensor_text(index, tensor);
    const rz_tensor &storage = tensor_at(graph_, tensor.storage);
    if (storage.storage != tensor.storage)
        return bad_graph("%s: expected a storage that is no view, found %s", text.c_str(),
                         tensor_text(tensor.storage, storage).c_str());
    if (storage.dtype != tensor.dtype || storage.role != tensor.role)
        return bad_graph("%s: expected type %u and role %u as its storage, found %u and %u",
                         text.c_str(), storage.dtype, storage.role, tensor.dtype, tensor.role);
    // The storage may stand later in the array, where nothing has been checked yet.
    if (storage.rank < 1 || storage.rank > RZ_MAX_RANK)
        return bad_graph("%s rank: expected 1 to %u, found %u",
                         tensor_text(tensor.storage, storage).c_str(), RZ_MAX_RANK, storage.rank);
    RZ_TRY(check_dims(tensor.storage, storage, info));
    if (tensor.offset % info.block_bytes != 0 || tensor.offset > kMaxTensorBytes)
        return bad_graph("%s offset: expected a multiple of %u, found %" PRIu64, text.c_str(),
                         info.block_bytes, tensor.offset);
    // Sizes are linear in the symbol, so both ends decide. With different symbols the worst case
    // is the largest view of the smallest storage.
    const bool same_symbol = tensor.dims[0] < 0 && tensor.dims[0] == storage.dims[0];
    for (const bool largest : {false, true}) {
        const uint64_t view = tensor_span(tensor, outermost(tensor, same_symbol ? largest : true));
        const uint64_t room =
            tensor_span(storage, outermost(storage, same_symbol ? largest : false));
        if (view > 0 && view + tensor.offset > room)
            return bad_graph("%s: expected to end within the %" PRIu64 " bytes of %s, found "
                             "offset %" PRIu64 " + %" PRIu64 " bytes",
                             text.c_str(), room, tensor_text(tensor.storage, storage).c_str(),
                             tensor.offset, view);
    }
    return {};
}

// A key names one tensor: two states would alias, two weights must at least be the same.
Status Validator::check_keys() const {
    std::vector<uint32_t> owners;
    for (uint32_t i = 0; i < graph_.tensor_count; ++i) {
        const rz_tensor &tensor = tensor_at(graph_, i);
        if (tensor.storage == i && (tensor.role == RZ_ROLE_WEIGHT || tensor.role == RZ_ROLE_STATE))
            owners.push_back(i);
    }
    const auto at = [&](uint32_t i) -> const rz_tensor & { return tensor_at(graph_, i); };
    std::ranges::stable_sort(owners, {}, [&](uint32_t i) { return at(i).key; });
    for (size_t n = 1; n < owners.size(); ++n) {
        const rz_tensor &a = at(owners[n - 1]), &b = at(owners[n]);
        if (a.key != b.key) continue;
        const bool same_weight = a.role == RZ_ROLE_WEIGHT && b.role == RZ_ROLE_WEIGHT &&
                                 a.dtype == b.dtype && tensor_shape(a) == tensor_shape(b);
        if (!same_weight)
            return bad_graph("%s: expected a key of its own, found that of %s (%" PRIu64 ")",
                             tensor_text(owners[n], b).c_str(),
                             tensor_text(owners[n - 1], a).c_str(), b.key);
    }
    return {};
}

Status Validator::check_operands(uint32_t index, const rz_node &node) const {
    const std::string text = "node " + std::to_string(index) + " (" + op_name(node.op) + ")";
    if ((node.input_count > 0 && node.inputs == nullptr) ||
        (node.output_count > 0 && node.outputs == nullptr) ||
        (node.attributes_size > 0 && node.attributes == nullptr))
        return bad_graph("%s: expected arrays of %u inputs, %u outputs and %" PRIu64
                         " attribute bytes, found NULL",
                         text.c_str(), node.input_count, node.output_count, node.attributes_size);
    for (uint32_t i = 0; i < node.input_count; ++i) {
        const uint32_t id = node.inputs[i];
        if (id == RZ_NONE) continue;
        if (id >= graph_.tensor_count)
            return bad_graph("%s input %u: expected a tensor below %u, found %u", text.c_str(), i,
                             graph_.tensor_count, id);
        const rz_tensor &tensor = tensor_at(graph_, id);
        if (tensor.role == RZ_ROLE_TEMP && !written_[tensor.storage])
            return bad_graph("%s input %u: expected a tensor that an earlier node has written, "
                             "found %s",
                             text.c_str(), i, tensor_text(id, tensor).c_str());
    }
    for (uint32_t i = 0; i < node.output_count; ++i)
        if (node.outputs[i] >= graph_.tensor_count)
            return bad_graph("%s output %u: expected a tensor below %u, found %u", text.c_str(), i,
                             graph_.tensor_count, node.outputs[i]);
    return {};
}

bool Validator::touches_unknown_tensor(const rz_node &node) const {
    const auto unknown = [&](uint32_t id) { return id != RZ_NONE && unknown_tensors_[id]; };
    return std::any_of(node.inputs, node.inputs + node.input_count, unknown) ||
           std::any_of(node.outputs, node.outputs + node.output_count, unknown);
}

Status Validator::check_output(uint32_t index, const rz_node &node, uint32_t i,
                               const InferredOutput &inferred) const {
    const uint32_t id = node.outputs[i];
    const rz_tensor &tensor = tensor_at(graph_, id);
    const std::string text =
        "node " + std::to_string(index) + " (" + op_name(node.op) + ") output " + std::to_string(i);
    if (inferred.aliases_input0) {
        if (id == node.inputs[0]) return {};
        return bad_graph("%s: expected tensor %u, its input 0, found %u", text.c_str(),
                         node.inputs[0], id);
    }
    if (tensor.role != RZ_ROLE_TEMP || tensor.storage != id || written_[id])
        return bad_graph("%s: expected a TEMP of its own that no node has written, found %s",
                         text.c_str(), tensor_text(id, tensor).c_str());
    Shape expected;
    expected.rank = inferred.rank;
    std::copy_n(inferred.dims, inferred.rank, expected.dims.begin());
    if ((inferred.dtypes & RZ_DTYPE_BIT(tensor.dtype)) == 0 || tensor_shape(tensor) != expected)
        return bad_graph("%s: expected %s %s, found %s %s", text.c_str(),
                         find_dtype(inferred.dtype)->name, expected.text().c_str(),
                         find_dtype(tensor.dtype)->name, tensor_shape(tensor).text().c_str());
    return {};
}

Status Validator::check_contract(uint32_t index, const rz_node &node) const {
    std::vector<const rz_tensor *> inputs;
    for (uint32_t i = 0; i < node.input_count; ++i)
        inputs.push_back(node.inputs[i] == RZ_NONE ? nullptr : &tensor_at(graph_, node.inputs[i]));
    auto outputs =
        infer_outputs(node.op, node.version, inputs, node.attributes, node.attributes_size);
    if (!outputs) return std::move(outputs).error().within("node " + std::to_string(index));
    if (outputs->size() != node.output_count)
        return bad_graph("node %u (%s): expected %zu outputs, found %u", index, op_name(node.op),
                         outputs->size(), node.output_count);
    for (uint32_t i = 0; i < node.output_count; ++i)
        RZ_TRY(check_output(index, node, i, (*outputs)[i]));
    if (node.op != RZ_OP_ATTENTION) return {};
    rz_attr_attention attr;
    std::memcpy(&attr, node.attributes, sizeof attr);
    if (attr.kv_symbol != RZ_NONE && attr.kv_symbol >= graph_.symbol_count)
        return bad_graph("node %u (ATTENTION) attribute kv_symbol: expected a symbol below %u, "
                         "found %u",
                         index, graph_.symbol_count, attr.kv_symbol);
    return {};
}

Status Validator::check_node(uint32_t index) {
    const rz_node &node = node_at(graph_, index);
    Status header = check_header(node, "node", index, graph_.node_stride);
    if (!header && header.error().code != Code::unsupported) return header;
    RZ_TRY(check_operands(index, node));
    Status status = std::move(header);
    if (status && !touches_unknown_tensor(node))
        status = check_contract(index, node);
    else if (lenient())
        (*unknown_nodes_)[index] = true;
    if (!status && status.error().code == Code::unsupported && lenient()) {
        (*unknown_nodes_)[index] = true;
        status = Status();
    }
    for (uint32_t i = 0; i < node.output_count; ++i)
        written_[tensor_at(graph_, node.outputs[i]).storage] = true;
    return status;
}

Status Validator::check_outputs() const {
    std::vector<bool> listed(graph_.tensor_count, false);
    for (uint32_t i = 0; i < graph_.output_count; ++i) {
        const uint32_t id = graph_.outputs[i];
        if (id >= graph_.tensor_count)
            return bad_graph("output %u: expected a tensor below %u, found %u", i,
                             graph_.tensor_count, id);
        const rz_tensor &tensor = tensor_at(graph_, id);
        if (tensor.role != RZ_ROLE_TEMP || tensor.storage != id || !written_[id] || listed[id])
            return bad_graph("output %u: expected a TEMP that a node writes, no view and listed "
                             "once, found %s",
                             i, tensor_text(id, tensor).c_str());
        listed[id] = true;
    }
    return {};
}

} // namespace

Status validate_graph(const rz_graph &graph, std::vector<bool> *unknown_nodes) {
    return Validator(graph, unknown_nodes).run();
}

} // namespace realizar
