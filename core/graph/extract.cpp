// Copying graphs: a whole ABI graph, or a run of nodes as a graph of its own.
#include "core/graph/graph.h"
#include "core/graph/layout.h"

namespace realizar {
namespace {

// The part of an ABI struct that this build knows.
template <class T>
T adopt(const T &from) {
    T to = from;
    to.struct_size = sizeof to;
    return to;
}

// Who makes and who uses each storage, by node index.
struct StorageUse {
    static constexpr size_t kNever = SIZE_MAX;
    std::vector<size_t> made; // kNever: a leaf
    std::vector<size_t> last_use;
    explicit StorageUse(const Graph &graph)
        : made(graph.tensors().size(), kNever), last_use(graph.tensors().size(), 0) {
        for (size_t n = 0; n < graph.nodes().size(); ++n) {
            const rz_node &node = graph.nodes()[n];
            for (uint32_t i = 0; i < node.input_count; ++i)
                if (node.inputs[i] != RZ_NONE)
                    last_use[graph.tensors()[node.inputs[i]].storage] = n;
            for (uint32_t i = 0; i < node.output_count; ++i) {
                const rz_tensor &tensor = graph.tensors()[node.outputs[i]];
                if (tensor.role == RZ_ROLE_TEMP) made[tensor.storage] = n;
            }
        }
        for (const TensorId id : graph.outputs())
            last_use[id] = graph.nodes().size(); // behind every node
    }
};

} // namespace

Graph Graph::copy(const rz_graph &graph) {
    Graph out;
    for (uint32_t i = 0; i < graph.tensor_count; ++i) {
        rz_tensor tensor = adopt(tensor_at(graph, i));
        if (tensor.name != nullptr) tensor.name = out.names_.emplace_back(tensor.name).c_str();
        out.tensors_.push_back(tensor);
    }
    for (uint32_t i = 0; i < graph.node_count; ++i) {
        const rz_node &node = node_at(graph, i);
        std::vector<TensorId> inputs(node.inputs, node.inputs + node.input_count);
        std::vector<TensorId> outputs(node.outputs, node.outputs + node.output_count);
        const auto *bytes = static_cast<const std::byte *>(node.attributes);
        out.append_node(node.op, node.version, std::move(inputs), std::move(outputs),
                        {bytes, bytes + node.attributes_size});
        out.nodes_.back().flags = node.flags;
    }
    for (uint32_t i = 0; i < graph.symbol_count; ++i)
        out.symbols_.push_back(adopt(symbol_at(graph, i)));
    out.outputs_.assign(graph.outputs, graph.outputs + graph.output_count);
    return out;
}

Graph::Region Graph::extract(size_t begin, size_t end) const {
    Region region;
    Graph &out = region.graph;
    out.symbols_ = symbols_;
    const StorageUse use(*this);
    std::vector<TensorId> mapped(tensors_.size(), kNoTensor);

    // Tensors are numbered by first use, so equal layers give equal arrays (and hashes).
    const auto map_one = [&](TensorId id) {
        if (mapped[id] != kNoTensor) return;
        mapped[id] = static_cast<TensorId>(out.tensors_.size());
        region.original.push_back(id);
        rz_tensor tensor = tensors_[id];
        if (tensor.name != nullptr) tensor.name = out.names_.emplace_back(tensor.name).c_str();
        const size_t made = use.made[tensor.storage];
        if (tensor.role == RZ_ROLE_TEMP && (made < begin || made >= end))
            tensor.role = RZ_ROLE_INPUT;
        tensor.storage = mapped[tensor.storage];
        out.tensors_.push_back(tensor);
    };
    const auto map = [&](TensorId id) {
        if (id == kNoTensor) return kNoTensor;
        map_one(tensors_[id].storage);
        map_one(id);
        return mapped[id];
    };

    for (size_t n = begin; n < end; ++n) {
        const rz_node &node = nodes_[n];
        std::vector<TensorId> inputs, outputs;
        for (uint32_t i = 0; i < node.input_count; ++i)
            inputs.push_back(map(node.inputs[i]));
        for (uint32_t i = 0; i < node.output_count; ++i)
            outputs.push_back(map(node.outputs[i]));
        const auto *bytes = static_cast<const std::byte *>(node.attributes);
        out.append_node(node.op, node.version, std::move(inputs), std::move(outputs),
                        {bytes, bytes + node.attributes_size});
        out.nodes_.back().flags = node.flags;
    }
    for (TensorId id = 0; id < out.tensors_.size(); ++id) {
        const rz_tensor &tensor = out.tensors_[id];
        if (tensor.role == RZ_ROLE_TEMP && tensor.storage == id &&
            use.last_use[region.original[id]] >= end)
            out.outputs_.push_back(id);
    }
    return region;
}

} // namespace realizar
