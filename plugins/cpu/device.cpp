#include "plugins/cpu/device.h"

#include "plugins/common/device.h"
#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

namespace {

void close(rz_device *device) { delete device; }

rz_code capabilities(rz_device *device, rz_capability *rows, uint32_t stride, uint32_t *count,
                     rz_error *err) {
    if (!device || !count)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.capabilities: NULL argument");
    return plugin::list_capabilities(coverage(device->driver.decoders), rows, stride, count, err);
}

rz_code classify(rz_device *device, const rz_graph *graph, uint8_t *states, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !states)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.classify: NULL argument");
        return plugin::classify_nodes(coverage(device->driver.decoders), graph, states, err);
    });
}

rz_code counters(rz_device *device, rz_counters *out, rz_error *err) {
    if (!device) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.counters: NULL argument");
    return plugin::report_counters(device->counters, out, err);
}

} // namespace

const rz_device_api kDeviceApi = {sizeof(rz_device_api), 0,        close,
                                  capabilities,          classify, counters};

} // namespace realizar::cpu
