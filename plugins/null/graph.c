/* Reading a graph safely. */
#include "null.h"

#include <stddef.h>

typedef struct block {
    uint32_t elements;
    uint32_t bytes;
} block;

static const block blocks[64] = {
#define ROW(name, id, elements, bytes) [id] = {elements, bytes},
    RZ_DTYPES(ROW)
#undef ROW
};

const void *null_at(const void *array, uint32_t stride, uint32_t index) {
    return (const char *)array + (uint64_t)stride * index;
}

uint64_t null_row_bytes(const rz_tensor *tensor) {
    const block shape = tensor->dtype < 64 ? blocks[tensor->dtype] : (block){0, 0};
    const int64_t width = tensor->dims[tensor->rank - 1];
    if (shape.elements == 0 || width <= 0 || width % shape.elements != 0) return 0;
    return (uint64_t)width / shape.elements * shape.bytes;
}

uint64_t null_tensor_bytes(const rz_tensor *tensor, int64_t rows) {
    if (tensor->rank == 1) {
        rz_tensor row = *tensor;
        row.dims[0] = rows;
        return null_row_bytes(&row);
    }
    uint64_t bytes = null_row_bytes(tensor);
    for (uint32_t i = 0; i + 1 < tensor->rank; ++i) {
        const int64_t steps = (i == 0 ? rows : tensor->dims[i]) - 1;
        if (steps < 0) return 0;
        bytes += (uint64_t)steps * (uint64_t)tensor->strides[i];
    }
    return bytes;
}

/* A stride of tensors, nodes or symbols may be larger than ours: elements grow with the ABI. */
static rz_code check_array(const void *array, uint32_t count, uint32_t stride, size_t size,
                           const char *name, rz_error *err) {
    if (count == 0) return RZ_OK;
    if (!array) return null_fail(err, RZ_INVALID_ARGUMENT, "expected %s, found NULL", name);
    if (stride < size)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected %s at least %zu bytes apart, found %u",
                         name, size, stride);
    return RZ_OK;
}

static rz_code check_tensor(const rz_graph *graph, uint32_t index, rz_error *err) {
    const rz_tensor *tensor = null_at(graph->tensors, graph->tensor_stride, index);
    const rz_code code = null_check_struct(tensor, sizeof *tensor, 0, "rz_tensor", err);
    if (code != RZ_OK) return code;
    if (tensor->rank < 1 || tensor->rank > RZ_MAX_RANK)
        return null_fail(err, RZ_INVALID_ARGUMENT, "tensor %u: expected rank 1 to %u, found %u",
                         index, RZ_MAX_RANK, tensor->rank);
    if (tensor->storage >= graph->tensor_count)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "tensor %u: expected a storage below %u, found %u", index,
                         graph->tensor_count, tensor->storage);
    for (uint32_t i = 0; i < tensor->rank; ++i) {
        const int64_t dim = tensor->dims[i];
        const int symbolic = i == 0 && dim < 0 && RZ_SYMBOL_INDEX(dim) < graph->symbol_count;
        if (dim <= 0 && !symbolic)
            return null_fail(err, RZ_INVALID_ARGUMENT,
                             "tensor %u: expected a positive dimension %u, found %lld", index, i,
                             (long long)dim);
    }
    return RZ_OK;
}

static rz_code check_indices(const uint32_t *indices, uint32_t count, int optional, uint32_t limit,
                             uint32_t node, rz_error *err) {
    if (count > 0 && !indices)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected tensor indices, found NULL");
    for (uint32_t i = 0; i < count; ++i) {
        if (indices[i] < limit || (optional && indices[i] == RZ_NONE)) continue;
        const rz_code code =
            null_fail(err, RZ_INVALID_ARGUMENT, "expected a tensor index below %u, found %u", limit,
                      indices[i]);
        if (err && err->struct_size >= sizeof *err) err->node = node;
        return code;
    }
    return RZ_OK;
}

rz_code null_check_graph(const rz_graph *graph, rz_error *err) {
    rz_code code = null_check_struct(graph, sizeof *graph, 0, "rz_graph", err);
    if (code == RZ_OK)
        code = check_array(graph->tensors, graph->tensor_count, graph->tensor_stride,
                           sizeof(rz_tensor), "tensors", err);
    if (code == RZ_OK)
        code = check_array(graph->nodes, graph->node_count, graph->node_stride, sizeof(rz_node),
                           "nodes", err);
    if (code == RZ_OK)
        code = check_array(graph->symbols, graph->symbol_count, graph->symbol_stride,
                           sizeof(rz_symbol), "symbols", err);
    for (uint32_t i = 0; code == RZ_OK && i < graph->symbol_count; ++i)
        code = null_check_struct(null_at(graph->symbols, graph->symbol_stride, i),
                                 sizeof(rz_symbol), 0, "rz_symbol", err);
    for (uint32_t i = 0; code == RZ_OK && i < graph->tensor_count; ++i)
        code = check_tensor(graph, i, err);
    for (uint32_t i = 0; code == RZ_OK && i < graph->node_count; ++i) {
        const rz_node *node = null_at(graph->nodes, graph->node_stride, i);
        code = null_check_struct(node, sizeof *node, 0, "rz_node", err);
        if (code == RZ_OK)
            code = check_indices(node->inputs, node->input_count, 1, graph->tensor_count, i, err);
        if (code == RZ_OK)
            code = check_indices(node->outputs, node->output_count, 0, graph->tensor_count, i, err);
    }
    if (code == RZ_OK)
        code = check_indices(graph->outputs, graph->output_count, 0, graph->tensor_count, RZ_NONE,
                             err);
    return code;
}
