/* Weights: the order and the sizes of loading are checked, the bytes are not kept, since no kernel
 * reads them. A real plugin copies, repacks or (with RZ_LOAD_STABLE) aliases them in load. */
#include "null.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_weight(const rz_tensor *tensor, uint32_t index) {
    return tensor->role == RZ_ROLE_WEIGHT && tensor->storage == index;
}

static rz_code plan(rz_device *device, const rz_graph *graph, rz_weights_plan *out, rz_error *err) {
    rz_code code = null_check_graph(graph, err);
    if (code == RZ_OK) code = null_check_struct(out, sizeof *out, 0, "rz_weights_plan", err);
    if (code != RZ_OK) return code;
    if (!device) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device, found NULL");
    out->resident = 0;
    out->aliased = 0;
    out->scratch = 0;
    return RZ_OK;
}

static null_weight *find(rz_weights *weights, uint64_t key) {
    for (uint32_t i = 0; i < weights->count; ++i)
        if (weights->items[i].key == key) return &weights->items[i];
    return NULL;
}

static rz_code add(rz_weights *weights, const rz_tensor *tensor, rz_error *err) {
    if (find(weights, tensor->key)) return RZ_OK;
    null_weight *weight = &weights->items[weights->count];
    weight->key = tensor->key;
    weight->row_bytes = null_row_bytes(tensor);
    if (weight->row_bytes == 0)
        return null_fail(err, RZ_UNSUPPORTED,
                         "weight key %" PRIu64 ": dtype %u or its row is unknown", tensor->key,
                         tensor->dtype);
    weight->rows = 1;
    for (uint32_t i = 0; i + 1 < tensor->rank; ++i)
        if (tensor->dims[i] <= 0 ||
            __builtin_mul_overflow(weight->rows, (uint64_t)tensor->dims[i], &weight->rows))
            return null_fail(err, RZ_INVALID_ARGUMENT,
                             "weight key %" PRIu64 ": expected a fixed number of rows",
                             tensor->key);
    weight->loaded = 0;
    snprintf(weight->name, sizeof weight->name, "%s", tensor->name ? tensor->name : "");
    ++weights->count;
    return RZ_OK;
}

static rz_code create(rz_device *device, const rz_graph *graph, uint64_t budget, rz_weights **out,
                      rz_error *err) {
    (void)budget; /* nothing becomes resident, so no budget is too small */
    rz_code code = null_check_graph(graph, err);
    if (code != RZ_OK) return code;
    if (!device || !out)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device and a place, found NULL");
    *out = NULL;
    rz_weights *weights =
        calloc(1, sizeof *weights + (uint64_t)graph->tensor_count * sizeof weights->items[0]);
    if (!weights) return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a weight set");
    weights->device = device;
    for (uint32_t i = 0; code == RZ_OK && i < graph->tensor_count; ++i) {
        const rz_tensor *tensor = null_at(graph->tensors, graph->tensor_stride, i);
        if (is_weight(tensor, i)) code = add(weights, tensor, err);
    }
    if (code != RZ_OK) {
        free(weights);
        return code;
    }
    *out = weights;
    return RZ_OK;
}

static void destroy(rz_weights *weights) { free(weights); }

static rz_code load(rz_weights *weights, uint64_t key, uint64_t row_begin, uint64_t row_count,
                    const void *data, uint64_t size, uint32_t load_flags, rz_error *err) {
    if (!weights || (!data && size > 0))
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected weights and data, found NULL");
    if (load_flags & 0xffffu)
        return null_fail(err, RZ_UNSUPPORTED, "the required load flags 0x%x are unknown",
                         load_flags & 0xffffu);
    null_weight *weight = find(weights, key);
    if (!weight)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a key of the graph, found %" PRIu64,
                         key);
    if (row_begin != weight->loaded || row_count > weight->rows - weight->loaded)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "weight '%s': expected rows from %" PRIu64 " to at most %" PRIu64
                         ", found %" PRIu64 " rows from %" PRIu64,
                         weight->name, weight->loaded, weight->rows, row_count, row_begin);
    uint64_t expected = 0;
    if (__builtin_mul_overflow(row_count, weight->row_bytes, &expected) || size != expected)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "weight '%s': expected %" PRIu64 " rows of %" PRIu64
                         " bytes, found %" PRIu64 " bytes",
                         weight->name, row_count, weight->row_bytes, size);
    weight->loaded += row_count;
    atomic_fetch_add(&weights->device->counters.bytes_written, size);
    return RZ_OK;
}

static rz_code finish(rz_weights *weights, rz_error *err) {
    if (!weights) return null_fail(err, RZ_INVALID_ARGUMENT, "expected weights, found NULL");
    for (uint32_t i = 0; i < weights->count; ++i) {
        const null_weight *weight = &weights->items[i];
        if (weight->loaded != weight->rows)
            return null_fail(err, RZ_INVALID_ARGUMENT,
                             "weight '%s' (key %" PRIu64 "): expected %" PRIu64
                             " rows, found %" PRIu64,
                             weight->name, weight->key, weight->rows, weight->loaded);
    }
    return RZ_OK;
}

const rz_weights_api null_weights_api = {
    .struct_size = sizeof(rz_weights_api),
    .plan = plan,
    .create = create,
    .destroy = destroy,
    .load = load,
    .finish = finish,
};
