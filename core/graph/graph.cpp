#include "core/graph/graph.h"

#include "core/common/fnv.h"
#include "core/graph/layout.h"

namespace realizar {

Shape::Shape(std::initializer_list<int64_t> list) : rank(static_cast<uint32_t>(list.size())) {
    size_t i = 0;
    for (const int64_t dim : list)
        if (i < RZ_MAX_RANK) dims[i++] = dim;
}

std::string Shape::text() const {
    std::string out = "[";
    for (uint32_t i = 0; i < rank && i < RZ_MAX_RANK; ++i) {
        if (i > 0) out += ", ";
        if (dims[i] < 0) out += 's';
        out += std::to_string(dims[i] < 0 ? int64_t{RZ_SYMBOL_INDEX(dims[i])} : dims[i]);
    }
    return out + "]";
}

rz_graph Graph::view() const {
    rz_graph graph{};
    graph.struct_size = sizeof graph;
    graph.tensors = tensors_.data();
    graph.nodes = nodes_.data();
    graph.symbols = symbols_.data();
    graph.outputs = outputs_.data();
    graph.tensor_count = static_cast<uint32_t>(tensors_.size());
    graph.node_count = static_cast<uint32_t>(nodes_.size());
    graph.symbol_count = static_cast<uint32_t>(symbols_.size());
    graph.output_count = static_cast<uint32_t>(outputs_.size());
    graph.tensor_stride = sizeof(rz_tensor);
    graph.node_stride = sizeof(rz_node);
    graph.symbol_stride = sizeof(rz_symbol);
    return graph;
}

Shape Graph::shape(TensorId id) const {
    return id < tensors_.size() ? tensor_shape(tensors_[id]) : Shape{};
}

TensorId Graph::find(std::string_view name) const {
    const auto matches = [&](TensorId id) {
        return tensors_[id].name != nullptr && name == tensors_[id].name;
    };
    for (const TensorId id : outputs_)
        if (matches(id)) return id;
    for (TensorId id = 0; id < tensors_.size(); ++id)
        if (tensors_[id].role == RZ_ROLE_INPUT && tensors_[id].storage == id && matches(id))
            return id;
    return kNoTensor;
}

void Graph::append_node(uint32_t op, uint32_t version, std::vector<TensorId> inputs,
                        std::vector<TensorId> outputs, std::vector<std::byte> attributes) {
    rz_node node{};
    node.struct_size = sizeof node;
    node.op = op;
    node.version = version;
    node.input_count = static_cast<uint32_t>(inputs.size());
    node.output_count = static_cast<uint32_t>(outputs.size());
    node.inputs = operands_.emplace_back(std::move(inputs)).data();
    node.outputs = operands_.emplace_back(std::move(outputs)).data();
    node.attributes_size = attributes.size();
    if (!attributes.empty())
        node.attributes = attributes_.emplace_back(std::move(attributes)).data();
    nodes_.push_back(node);
}

namespace {

void hash_tensor(Fnv &fnv, const rz_tensor &tensor) {
    for (const uint64_t value : {uint64_t{tensor.dtype}, uint64_t{tensor.role},
                                 uint64_t{tensor.rank}, uint64_t{tensor.storage}, tensor.offset})
        fnv.number(value);
    for (uint32_t i = 0; i < tensor.rank; ++i) {
        fnv.number(static_cast<uint64_t>(tensor.dims[i]));
        fnv.number(static_cast<uint64_t>(tensor.strides[i]));
    }
}

void hash_node(Fnv &fnv, const rz_node &node) {
    for (const uint64_t value :
         {uint64_t{node.op}, uint64_t{node.version}, uint64_t{node.input_count},
          uint64_t{node.output_count}, node.attributes_size})
        fnv.number(value);
    for (uint32_t i = 0; i < node.input_count; ++i)
        fnv.number(node.inputs[i]);
    for (uint32_t i = 0; i < node.output_count; ++i)
        fnv.number(node.outputs[i]);
    fnv.bytes(node.attributes, node.attributes_size);
}

} // namespace

uint64_t Graph::hash() const {
    Fnv fnv;
    for (const uint64_t count : {tensors_.size(), nodes_.size(), symbols_.size(), outputs_.size()})
        fnv.number(count);
    for (const rz_tensor &tensor : tensors_)
        hash_tensor(fnv, tensor);
    for (const rz_node &node : nodes_)
        hash_node(fnv, node);
    for (const rz_symbol &symbol : symbols_)
        for (const int64_t bound : {symbol.min, symbol.max, symbol.hint})
            fnv.number(static_cast<uint64_t>(bound));
    for (const TensorId id : outputs_)
        fnv.number(id);
    return fnv.hash();
}

} // namespace realizar
