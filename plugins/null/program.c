/* Compiling a region. The null device has no kernel, so only a region without nodes succeeds; any
 * other is RZ_UNSUPPORTED at its first node, and the core plans without this device. */
#include "null.h"

#include <stdlib.h>

static void destroy(rz_program *program) {
    if (!program) return;
    free(program->tensors);
    free(program->symbols);
    free(program);
}

/* A program outlives the graph it was compiled from. */
static rz_program *copy_of(rz_device *device, const rz_graph *graph) {
    rz_program *program = calloc(1, sizeof *program);
    if (!program) return NULL;
    program->device = device;
    program->tensor_count = graph->tensor_count;
    program->symbol_count = graph->symbol_count;
    /* One element more, because calloc(0) may give NULL. */
    program->tensors = calloc((size_t)graph->tensor_count + 1, sizeof(rz_tensor));
    program->symbols = calloc((size_t)graph->symbol_count + 1, sizeof(rz_symbol));
    if (!program->tensors || !program->symbols) {
        destroy(program);
        return NULL;
    }
    for (uint32_t i = 0; i < graph->tensor_count; ++i) {
        program->tensors[i] = *(const rz_tensor *)null_at(graph->tensors, graph->tensor_stride, i);
        program->tensors[i].name = NULL;
    }
    for (uint32_t i = 0; i < graph->symbol_count; ++i)
        program->symbols[i] = *(const rz_symbol *)null_at(graph->symbols, graph->symbol_stride, i);
    return program;
}

static rz_code compile(rz_device *device, const rz_graph *graph, rz_weights *weights,
                       const rz_compile_options *options, rz_program **out, rz_error *err) {
    (void)weights;
    rz_code code = null_check_graph(graph, err);
    if (code == RZ_OK)
        code = null_check_struct(options, sizeof *options, 0, "rz_compile_options", err);
    if (code != RZ_OK) return code;
    if (!device || !out)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device and a place, found NULL");
    *out = NULL;
    if (graph->node_count > 0) {
        const rz_node *node = null_at(graph->nodes, graph->node_stride, 0);
        code = null_fail(err, RZ_UNSUPPORTED, "the null device runs no operator, found op %u",
                         node->op);
        if (err && err->struct_size >= sizeof *err) err->node = 0;
        return code;
    }
    if (graph->output_count > 0)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "expected no output of a region without nodes, found %u",
                         graph->output_count);
    *out = copy_of(device, graph);
    return *out ? RZ_OK : null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a program");
}

static rz_code info(rz_program *program, rz_program_info *out, rz_error *err) {
    const rz_code code = null_check_struct(out, sizeof *out, 0, "rz_program_info", err);
    if (code != RZ_OK) return code;
    if (!program) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a program, found NULL");
    out->scratch_bytes = 0;
    out->dispatches = 0;
    out->fused_nodes = 0;
    return RZ_OK;
}

const rz_program_api null_program_api = {
    .struct_size = sizeof(rz_program_api),
    .compile = compile,
    .info = info,
    .destroy = destroy,
};
