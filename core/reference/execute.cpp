#include "core/reference/execute.h"

#include "core/graph/infer.h"
#include "core/reference/ref_ops.h"

#include <cinttypes>

namespace realizar {

Status ref_check_node(const rz_graph &graph, uint32_t index) {
    const rz_node &node = node_at(graph, index);
    const auto refuse = [&](uint32_t id) {
        const rz_tensor &tensor = tensor_at(graph, id);
        return make_error(Code::unsupported, "unsupported_dtype",
                          "node %u (%s): expected tensors of a type with a codec, found %s", index,
                          op_name(node.op), find_dtype(tensor.dtype)->name);
    };
    for (uint32_t i = 0; i < node.input_count; ++i)
        if (node.inputs[i] != RZ_NONE && !ref_can_decode(tensor_at(graph, node.inputs[i]).dtype))
            return refuse(node.inputs[i]);
    for (uint32_t i = 0; i < node.output_count; ++i)
        if (!ref_can_encode(tensor_at(graph, node.outputs[i]).dtype))
            return refuse(node.outputs[i]);
    return {};
}

void ref_execute(const rz_graph &graph, std::span<const int64_t> symbols,
                 std::span<const RefStorage> storages) {
    const auto tensor = [&](uint32_t id) {
        const rz_tensor &t = tensor_at(graph, id);
        return RefTensor(t, symbols, storages[t.storage]);
    };
    for (uint32_t n = 0; n < graph.node_count; ++n) {
        RefCall call{node_at(graph, n), {}, {}};
        for (uint32_t i = 0; i < call.node.input_count; ++i) {
            const uint32_t id = call.node.inputs[i];
            call.inputs.push_back(id == RZ_NONE ? std::nullopt : std::optional(tensor(id)));
        }
        for (uint32_t i = 0; i < call.node.output_count; ++i)
            call.outputs.push_back(tensor(call.node.outputs[i]));
        find_ref_op(call.node.op)(call);
    }
}

void ref_resize_temps(const rz_graph &graph, std::span<const int64_t> symbols,
                      std::vector<RefValue> &values) {
    values.resize(graph.tensor_count);
    for (uint32_t i = 0; i < graph.tensor_count; ++i) {
        const rz_tensor &tensor = tensor_at(graph, i);
        if (tensor.role != RZ_ROLE_TEMP || tensor.storage != i) continue;
        values[i].dims.clear();
        for (uint32_t d = 0; d < tensor.rank; ++d)
            values[i].dims.push_back(resolve_dim(tensor.dims[d], symbols));
        values[i].data.resize(tensor_elements(tensor, values[i].dims[0]));
    }
}

Status ref_check_symbols(const rz_graph &graph, std::span<const int64_t> symbols) {
    if (symbols.size() != graph.symbol_count)
        return make_error(Code::invalid_argument, "bad_symbol",
                          "expected %u symbol values, found %zu", graph.symbol_count,
                          symbols.size());
    for (uint32_t i = 0; i < graph.symbol_count; ++i) {
        const rz_symbol &symbol = symbol_at(graph, i);
        if (symbols[i] < symbol.min || symbols[i] > symbol.max)
            return make_error(Code::invalid_argument, "bad_symbol",
                              "symbol %u: expected %" PRId64 " to %" PRId64 ", found %" PRId64, i,
                              symbol.min, symbol.max, symbols[i]);
    }
    return {};
}

} // namespace realizar
