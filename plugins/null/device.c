/* What the device can do: nothing. A real plugin keeps one table of capabilities and lets both
 * functions below read it, so that they cannot disagree. */
#include "null.h"

#include <stdlib.h>
#include <string.h>

static void close_device(rz_device *device) { free(device); }

static rz_code capabilities(rz_device *device, rz_capability *rows, uint32_t stride,
                            uint32_t *count, rz_error *err) {
    (void)rows;
    (void)stride;
    if (!device || !count)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device and a count, found NULL");
    *count = 0;
    return RZ_OK;
}

static rz_code classify(rz_device *device, const rz_graph *graph, uint8_t *states, rz_error *err) {
    const rz_code code = null_check_graph(graph, err);
    if (code != RZ_OK) return code;
    if (!device || (!states && graph->node_count > 0))
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device and states, found NULL");
    if (graph->node_count > 0) memset(states, RZ_NODE_NO, graph->node_count);
    return RZ_OK;
}

static rz_code counters(rz_device *device, rz_counters *out, rz_error *err) {
    const rz_code code = null_check_struct(out, sizeof *out, 0, "rz_counters", err);
    if (code != RZ_OK) return code;
    if (!device) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device, found NULL");
    null_counters *now = &device->counters;
    out->submissions = atomic_load(&now->submissions);
    out->dispatches = 0;
    out->barriers = 0;
    out->allocations = atomic_load(&now->allocations);
    out->bytes_written = atomic_load(&now->bytes_written);
    out->bytes_read = atomic_load(&now->bytes_read);
    out->memory_used = atomic_load(&now->memory_used);
    out->memory_peak = atomic_load(&now->memory_peak);
    return RZ_OK;
}

const rz_device_api null_device_api = {
    .struct_size = sizeof(rz_device_api),
    .close = close_device,
    .capabilities = capabilities,
    .classify = classify,
    .counters = counters,
};
