#include "objects.h"

#include <algorithm>
#include <cstring>

using realizar::Graph;

namespace {

// Valid, known and supported, or the code that says why not.
rz_code check_graph(const rz_graph *graph, rz_error *err) {
    rz_graph seen = *graph;
    std::vector<rz_tensor> tensors;
    if (has(Fault::ignores_required_flags)) {
        for (uint32_t i = 0; i < graph->tensor_count; ++i) {
            tensors.push_back(realizar::tensor_at(*graph, i));
            tensors.back().flags = 0;
        }
        seen.flags = 0;
        seen.tensors = tensors.data();
        seen.tensor_stride = sizeof(rz_tensor);
    }
    const realizar::Status status = realizar::validate_graph(seen);
    if (!status) {
        const bool lacks = status.error().code == realizar::Code::unsupported;
        return fail(err, lacks ? RZ_UNSUPPORTED : RZ_INVALID_ARGUMENT, "%s",
                    status.error().message.c_str());
    }
    return RZ_OK;
}

rz_code weights_plan(rz_device *, const rz_graph *graph, rz_weights_plan *out, rz_error *err) {
    if (const rz_code code = check_graph(graph, err); code != RZ_OK) return code;
    out->resident = out->aliased = out->scratch = 0;
    std::map<uint64_t, uint64_t> bytes;
    for (uint32_t i = 0; i < graph->tensor_count; ++i) {
        const rz_tensor &tensor = realizar::tensor_at(*graph, i);
        if (tensor.role == RZ_ROLE_WEIGHT && tensor.storage == i)
            bytes[tensor.key] = realizar::tensor_max_bytes(*graph, tensor);
    }
    for (const auto &[key, size] : bytes)
        out->resident += size;
    return RZ_OK;
}

rz_code weights_create(rz_device *device, const rz_graph *graph, uint64_t budget, rz_weights **out,
                       rz_error *err) {
    rz_weights_plan plan{};
    if (const rz_code code = weights_plan(device, graph, &plan, err); code != RZ_OK) return code;
    if (budget > 0 && plan.resident > budget)
        return fail(err, RZ_OUT_OF_MEMORY, "weights: %llu bytes, budget %llu",
                    static_cast<unsigned long long>(plan.resident),
                    static_cast<unsigned long long>(budget));
    auto *weights = new rz_weights;
    for (uint32_t i = 0; i < graph->tensor_count; ++i) {
        const rz_tensor &tensor = realizar::tensor_at(*graph, i);
        if (tensor.role != RZ_ROLE_WEIGHT || tensor.storage != i) continue;
        LoadedWeight &weight = weights->by_key[tensor.key];
        weight.bytes.resize(realizar::tensor_max_bytes(*graph, tensor));
        weight.rows = 1;
        for (uint32_t d = 0; d + 1 < tensor.rank; ++d)
            weight.rows *= static_cast<uint64_t>(tensor.dims[d]);
        weight.row_bytes = weight.bytes.size() / weight.rows;
    }
    *out = weights;
    return RZ_OK;
}

void weights_destroy(rz_weights *weights) { delete weights; }

rz_code weights_load(rz_weights *weights, uint64_t key, uint64_t begin, uint64_t count,
                     const void *data, uint64_t size, uint32_t flags, rz_error *err) {
    if (unknown_required(flags)) return fail(err, RZ_UNSUPPORTED, "load: unknown flags");
    const auto found = weights->by_key.find(key);
    if (found == weights->by_key.end())
        return fail(err, RZ_INVALID_ARGUMENT, "load: no weight has this key");
    LoadedWeight &weight = found->second;
    if (begin != weight.loaded || count > weight.rows - begin || size != count * weight.row_bytes)
        return fail(err, RZ_INVALID_ARGUMENT, "load: expected rows from %llu on, each once",
                    static_cast<unsigned long long>(weight.loaded));
    if (size > 0) std::memcpy(weight.bytes.data() + begin * weight.row_bytes, data, size);
    weight.loaded += count;
    return RZ_OK;
}

rz_code weights_finish(rz_weights *weights, rz_error *err) {
    for (const auto &[key, weight] : weights->by_key)
        if (weight.loaded != weight.rows)
            return fail(err, RZ_INVALID_ARGUMENT, "weight %llu: expected %llu rows, found %llu",
                        static_cast<unsigned long long>(key),
                        static_cast<unsigned long long>(weight.rows),
                        static_cast<unsigned long long>(weight.loaded));
    return RZ_OK;
}

rz_code compile(rz_device *device, const rz_graph *graph, rz_weights *weights,
                const rz_compile_options *options, rz_program **out, rz_error *err) {
    if (unknown_required(options->flags))
        return fail(err, RZ_UNSUPPORTED, "options: unknown flags");
    if (const rz_code code = check_graph(graph, err); code != RZ_OK) return code;
    Graph copy = Graph::copy(*graph);
    for (uint32_t i = 0; i < copy.nodes().size(); ++i)
        if (!supports(copy, copy.nodes()[i])) {
            fail(err, RZ_UNSUPPORTED, "no kernel for this node");
            if (err != nullptr) err->node = i;
            return RZ_UNSUPPORTED;
        }
    for (const rz_tensor &tensor : copy.tensors())
        if (tensor.role == RZ_ROLE_WEIGHT &&
            (weights == nullptr || weights->by_key.count(tensor.key) == 0))
            return fail(err, RZ_INVALID_ARGUMENT, "weight '%s' is not among the weights",
                        tensor.name);
    *out = new rz_program{device, std::move(copy), weights,
                          (options->flags & RZ_COMPILE_NO_FUSE) == 0};
    return RZ_OK;
}

rz_code program_info(rz_program *program, rz_program_info *out, rz_error *) {
    out->scratch_bytes = 0;
    for (const rz_tensor &tensor : program->graph.tensors())
        if (tensor.role == RZ_ROLE_TEMP)
            out->scratch_bytes += realizar::tensor_max_bytes(program->graph.view(), tensor);
    out->dispatches = static_cast<uint32_t>(program->graph.nodes().size());
    out->fused_nodes = 0;
    return RZ_OK;
}

void program_destroy(rz_program *program) { delete program; }

rz_code instance_create(rz_program *program, rz_instance **out, rz_error *) {
    auto *instance = new rz_instance;
    instance->program = program;
    const auto tensors = program->graph.tensors();
    instance->own.resize(tensors.size());
    instance->bound.resize(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i)
        if (tensors[i].storage == i &&
            (tensors[i].role == RZ_ROLE_TEMP || tensors[i].role == RZ_ROLE_INPUT))
            instance->own[i].resize(realizar::tensor_max_bytes(program->graph.view(), tensors[i]));
    *out = instance;
    return RZ_OK;
}

bool can_bind(const Graph &graph, uint32_t tensor) {
    if (tensor >= graph.tensors().size() || graph.tensors()[tensor].storage != tensor) return false;
    const rz_role role = graph.tensors()[tensor].role;
    return role == RZ_ROLE_INPUT || role == RZ_ROLE_STATE ||
           std::ranges::count(graph.outputs(), tensor) > 0;
}

rz_code bind(rz_instance *instance, const rz_binding *bindings, uint32_t stride, uint32_t count,
             rz_error *err) {
    if (has(Fault::ignores_array_stride)) stride = sizeof(rz_binding);
    const Graph &graph = instance->program->graph;
    const auto at = [&](uint32_t i) -> const rz_binding & {
        return *reinterpret_cast<const rz_binding *>(reinterpret_cast<const uint8_t *>(bindings) +
                                                     size_t{i} * stride);
    };
    for (uint32_t i = 0; i < count; ++i) {
        const rz_binding &binding = at(i);
        if (unknown_required(binding.flags)) return fail(err, RZ_UNSUPPORTED, "binding: flags");
        if (!can_bind(graph, binding.tensor) || binding.buffer == nullptr)
            return fail(err, RZ_INVALID_ARGUMENT, "binding %u: tensor %u cannot be bound", i,
                        binding.tensor);
        const uint64_t need =
            realizar::tensor_max_bytes(graph.view(), graph.tensors()[binding.tensor]);
        const uint64_t have = binding.buffer->bytes.size();
        if (binding.offset % 64 != 0 || binding.offset > have || need > have - binding.offset)
            return fail(err, RZ_INVALID_ARGUMENT, "binding %u: does not fit the buffer", i);
    }
    for (uint32_t i = 0; i < count; ++i)
        instance->bound[at(i).tensor] = at(i);
    return RZ_OK;
}

void instance_destroy(rz_instance *instance) { delete instance; }

} // namespace

uint8_t *rz_instance::storage(uint32_t tensor) {
    const rz_tensor &facts = program->graph.tensors()[tensor];
    if (facts.role == RZ_ROLE_WEIGHT) return program->weights->by_key.at(facts.key).bytes.data();
    if (bound[tensor].buffer != nullptr)
        return bound[tensor].buffer->bytes.data() + bound[tensor].offset;
    return own[tensor].empty() ? nullptr : own[tensor].data();
}

const rz_weights_api kWeightsApi = {
    sizeof(rz_weights_api), 0, weights_plan, weights_create, weights_destroy, weights_load,
    weights_finish};
const rz_program_api kProgramApi = {sizeof(rz_program_api), 0, compile, program_info,
                                    program_destroy};
const rz_instance_api kInstanceApi = {sizeof(rz_instance_api), 0, instance_create, bind,
                                      instance_destroy};
