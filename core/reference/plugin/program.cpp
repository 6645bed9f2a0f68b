#include "core/reference/plugin/objects.h"

#include "core/reference/execute.h"

#include <algorithm>
#include <cinttypes>

namespace realizar::reference {
namespace {

// Every WEIGHT of the graph, found in the set by its key with the same type and shape.
rz_code find_weights(const rz_graph &graph, rz_weights *weights, Program &program, rz_error *err) {
    program.weights.assign(graph.tensor_count, nullptr);
    for (uint32_t i = 0; i < graph.tensor_count; ++i) {
        const rz_tensor &tensor = tensor_at(graph, i);
        if (tensor.role != RZ_ROLE_WEIGHT || tensor.storage != i) continue;
        const char *name = tensor.name != nullptr ? tensor.name : "";
        if (weights == nullptr || !object(weights).finished)
            return fail(err, RZ_INVALID_ARGUMENT,
                        "weight '%s': expected a finished weight set, found %s", name,
                        weights == nullptr ? "NULL" : "one that still loads");
        const Weights &set = object(weights);
        const auto entry = set.by_key.find(tensor.key);
        if (set.device != program.device || entry == set.by_key.end() ||
            entry->second.dtype != tensor.dtype || entry->second.shape != tensor_shape(tensor))
            return fail(err, RZ_INVALID_ARGUMENT,
                        "weight '%s' (key %" PRIu64 "): expected one of this device, type and "
                        "shape in the weight set, found none",
                        name, tensor.key);
        program.weights[i] = &entry->second;
    }
    return RZ_OK;
}

// What an instance may come to hold: results as doubles, inputs and outputs as bytes.
uint64_t scratch_bytes(const rz_graph &graph) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < graph.tensor_count; ++i) {
        const rz_tensor &tensor = tensor_at(graph, i);
        if (tensor.storage != i) continue;
        if (tensor.role == RZ_ROLE_INPUT) total += tensor_max_bytes(graph, tensor);
        if (tensor.role != RZ_ROLE_TEMP) continue;
        const int64_t dim = tensor.dims[0];
        const int64_t most = dim < 0 ? symbol_at(graph, RZ_SYMBOL_INDEX(dim)).max : dim;
        total += tensor_elements(tensor, most) * sizeof(double);
        if (std::find(graph.outputs, graph.outputs + graph.output_count, i) !=
            graph.outputs + graph.output_count)
            total += tensor_max_bytes(graph, tensor);
    }
    return total;
}

rz_code compile(rz_device *device, const rz_graph *graph, rz_weights *weights,
                const rz_compile_options *options, rz_program **out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(device, "device", err));
        RZ_CHECK(check_handle(graph, "graph", err));
        RZ_CHECK(check_handle(out, "place for the program", err));
        if (options != nullptr) RZ_CHECK(check_struct(options, "compile options", err));
        if (Status status = validate_graph(*graph); !status) return fail(err, status.error());
        for (uint32_t i = 0; i < graph->node_count; ++i) {
            const Status status = ref_check_node(*graph, i);
            if (status) continue;
            const rz_code code = fail(err, status.error());
            if (err != nullptr && RZ_HAS(err, rz_error, node)) err->node = i;
            return code;
        }
        auto program = std::make_unique<Program>();
        program->device = &object(device);
        RZ_CHECK(find_weights(*graph, weights, *program, err));
        program->scratch_bytes = scratch_bytes(*graph);
        if (options != nullptr && options->memory_budget != 0 &&
            program->scratch_bytes > options->memory_budget)
            return fail(err, RZ_OUT_OF_MEMORY,
                        "scratch: expected at most %" PRIu64 " bytes, found %" PRIu64,
                        options->memory_budget, program->scratch_bytes);
        program->graph = Graph::copy(*graph);
        *out = handle(program.release());
        return RZ_OK;
    });
}

rz_code info(rz_program *program, rz_program_info *out, rz_error *err) {
    RZ_CHECK(check_handle(program, "program", err));
    RZ_CHECK(check_struct(out, "program info", err));
    const Program &from = object(program);
    out->scratch_bytes = from.scratch_bytes;
    out->dispatches = static_cast<uint32_t>(from.graph.nodes().size());
    out->fused_nodes = 0;
    return RZ_OK;
}

void destroy(rz_program *program) { destroy_object(program); }

} // namespace

const rz_program_api kProgramApi = {sizeof(rz_program_api), 0, compile, info, destroy};

} // namespace realizar::reference
