// From a graph to a list of steps, and the memory that the steps run on.
#include "scale.h"

namespace scale {
namespace {

bool same_shape(const rz_tensor &a, const rz_tensor &b) {
    if (a.rank != b.rank) return false;
    for (uint32_t i = 0; i < a.rank; ++i)
        if (a.dims[i] != b.dims[i]) return false;
    return true;
}

bool has_tensor(const std::vector<rz_tensor> &tensors, const uint32_t *indices, uint32_t count) {
    return count == 1 && indices && indices[0] < tensors.size();
}

rz_code compile(rz_device *, const rz_graph *graph, rz_weights *, const rz_compile_options *options,
                rz_program **out, rz_error *err) {
    return guarded(err, [&] {
        check_struct(options);
        check_struct(graph);
        require(out != nullptr, "a place for the program");
        *out = new rz_program{make_plan(*graph)};
    });
}

rz_code info(rz_program *program, rz_program_info *out, rz_error *err) {
    return guarded(err, [&] {
        check_struct(out);
        out->scratch_bytes = 0;
        out->dispatches = static_cast<uint32_t>(program->plan.steps.size());
        out->fused_nodes = 0;
    });
}

void destroy_program(rz_program *program) { delete program; }

int64_t most_rows(const Plan &plan, const rz_tensor &tensor) {
    const int64_t dim = tensor.dims[0];
    return dim < 0 ? plan.symbols[RZ_SYMBOL_INDEX(dim)].max : dim;
}

rz_code create_instance(rz_program *program, rz_instance **out, rz_error *err) {
    return guarded(err, [&] {
        const Plan &plan = program->plan;
        auto instance = std::make_unique<rz_instance>();
        instance->program = program;
        instance->own.resize(plan.tensors.size());
        instance->storage.resize(plan.tensors.size());
        for (uint32_t i = 0; i < plan.tensors.size(); ++i) {
            const rz_tensor &tensor = plan.tensors[i];
            if (tensor.storage != i || tensor.role == RZ_ROLE_STATE) continue;
            instance->own[i].resize(bytes_of(tensor, most_rows(plan, tensor)));
            instance->storage[i] = instance->own[i].data();
        }
        *out = instance.release();
    });
}

bool bindable(const Plan &plan, uint32_t index) {
    if (index >= plan.tensors.size() || plan.tensors[index].storage != index) return false;
    if (plan.tensors[index].role != RZ_ROLE_TEMP) return plan.tensors[index].role != RZ_ROLE_WEIGHT;
    for (const uint32_t output : plan.outputs)
        if (output == index) return true;
    return false;
}

rz_code bind(rz_instance *instance, const rz_binding *bindings, uint32_t stride, uint32_t count,
             rz_error *err) {
    return guarded(err, [&] {
        require(count == 0 || (bindings && stride >= sizeof *bindings), "bindings");
        const Plan &plan = instance->program->plan;
        for (uint32_t i = 0; i < count; ++i) { // all are checked before one is changed
            const rz_binding &binding = at(bindings, stride, i);
            check_struct(&binding);
            require(bindable(plan, binding.tensor), "an input, a state or an output");
            const rz_tensor &tensor = plan.tensors[binding.tensor];
            const uint64_t size = bytes_of(tensor, most_rows(plan, tensor));
            require(binding.buffer && binding.offset % kAlignment == 0 &&
                        binding.offset <= binding.buffer->bytes.size() &&
                        size <= binding.buffer->bytes.size() - binding.offset,
                    "an aligned range inside the buffer");
        }
        for (uint32_t i = 0; i < count; ++i) {
            const rz_binding &binding = at(bindings, stride, i);
            instance->storage[binding.tensor] = binding.buffer->bytes.data() + binding.offset;
        }
    });
}

void destroy_instance(rz_instance *instance) { delete instance; }

} // namespace

std::vector<rz_tensor> read_tensors(const rz_graph &graph) {
    require(graph.tensor_count == 0 || (graph.tensors && graph.tensor_stride >= sizeof(rz_tensor)),
            "tensors");
    require(graph.node_count == 0 || (graph.nodes && graph.node_stride >= sizeof(rz_node)),
            "nodes");
    require(graph.symbol_count == 0 || (graph.symbols && graph.symbol_stride >= sizeof(rz_symbol)),
            "symbols");
    std::vector<rz_tensor> tensors;
    for (uint32_t i = 0; i < graph.tensor_count; ++i) {
        const rz_tensor &tensor = at(graph.tensors, graph.tensor_stride, i);
        check_struct(&tensor);
        require(tensor.rank >= 1 && tensor.rank <= RZ_MAX_RANK &&
                    tensor.storage < graph.tensor_count,
                "a rank from 1 to 4 and a storage of this graph");
        for (uint32_t d = 0; d < tensor.rank; ++d)
            require(tensor.dims[d] > 0 || (d == 0 && tensor.dims[0] < 0 &&
                                           RZ_SYMBOL_INDEX(tensor.dims[0]) < graph.symbol_count),
                    "positive dimensions");
        tensors.push_back(tensor);
    }
    return tensors;
}

// The authority behind classify and compile alike. Fills *step when given.
bool can_run(const std::vector<rz_tensor> &tensors, const rz_node &node, Step *step) {
    check_struct(&node);
    const auto *attributes = static_cast<const rz_attr_scale *>(node.attributes);
    if (node.op != RZ_OP_SCALE || node.version != 1) return false;
    require(has_tensor(tensors, node.inputs, node.input_count) &&
                has_tensor(tensors, node.outputs, node.output_count) && attributes &&
                node.attributes_size >= sizeof *attributes,
            "one input, one output and the attributes of SCALE");
    check_struct(attributes);
    const rz_tensor &x = tensors[node.inputs[0]];
    const rz_tensor &y = tensors[node.outputs[0]];
    if (x.dtype != RZ_DTYPE_F32 || y.dtype != RZ_DTYPE_F32 || x.role == RZ_ROLE_WEIGHT)
        return false;
    require(same_shape(x, y), "a result of the operand's shape");
    if (step) *step = {node.inputs[0], node.outputs[0], attributes->scale, attributes->bias};
    return true;
}

Plan make_plan(const rz_graph &graph) {
    Plan plan;
    plan.tensors = read_tensors(graph);
    for (uint32_t i = 0; i < graph.symbol_count; ++i)
        plan.symbols.push_back(at(graph.symbols, graph.symbol_stride, i));
    for (uint32_t i = 0; i < graph.node_count; ++i) {
        Step step;
        if (!can_run(plan.tensors, at(graph.nodes, graph.node_stride, i), &step))
            throw Failure{RZ_UNSUPPORTED, "expected SCALE of F32 values", i};
        plan.steps.push_back(step);
    }
    for (uint32_t i = 0; i < graph.output_count; ++i) {
        require(graph.outputs[i] < graph.tensor_count, "outputs of this graph");
        plan.outputs.push_back(graph.outputs[i]);
    }
    return plan;
}

int64_t rows_of(const rz_tensor &tensor, const int64_t *symbols) {
    return tensor.dims[0] < 0 ? symbols[RZ_SYMBOL_INDEX(tensor.dims[0])] : tensor.dims[0];
}

uint64_t bytes_of(const rz_tensor &tensor, int64_t rows) {
    uint64_t bytes = sizeof(float);
    for (uint32_t i = 0; i < tensor.rank; ++i) {
        const int64_t steps = (i == 0 ? rows : tensor.dims[i]) - 1;
        bytes += static_cast<uint64_t>(steps) * static_cast<uint64_t>(tensor.strides[i]);
    }
    return bytes;
}

const rz_program_api program_api = {sizeof(rz_program_api), 0, compile, info, destroy_program};
const rz_instance_api instance_api = {sizeof(rz_instance_api), 0, create_instance, bind,
                                      destroy_instance};

} // namespace scale
