#include "plugins/cpu/device.h"

#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

namespace {

void close(rz_device *device) { delete device; }

rz_code capabilities(rz_device *device, rz_capability *rows, uint32_t stride, uint32_t *count,
                     rz_error *err) {
    if (!device || !count)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.capabilities: NULL argument");
    const auto ops = contracts();
    for (uint32_t i = 0; rows && i < *count && i < ops.size(); ++i) {
        auto *row = reinterpret_cast<rz_capability *>(reinterpret_cast<std::byte *>(rows) +
                                                      size_t{stride} * i);
        const rz_code code = check_struct(row, sizeof(rz_capability), 0xffff, "rz_capability", err);
        if (code != RZ_OK) return code;
        rz_capability value = {};
        value.op = ops[i].op;
        value.version = 1;
        value.dtypes = ops[i].dtypes;
        fill_struct(row, value);
    }
    *count = static_cast<uint32_t>(ops.size());
    return RZ_OK;
}

rz_code classify(rz_device *device, const rz_graph *graph, uint8_t *states, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !states)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.classify: NULL argument");
        Region region;
        rz_code code = read_region(graph, region, err);
        for (uint32_t i = 0; code == RZ_OK && i < region.nodes.size(); ++i) {
            const rz_code verdict = check_node(region, i, nullptr);
            if (verdict == RZ_INVALID_ARGUMENT) code = check_node(region, i, err);
            states[i] = verdict == RZ_OK ? RZ_NODE_YES : RZ_NODE_NO;
        }
        return code;
    });
}

rz_code counters(rz_device *device, rz_counters *out, rz_error *err) {
    if (!device) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "device.counters: NULL argument");
    const rz_code code = check_struct(out, sizeof(rz_counters), 0xffff, "rz_counters", err);
    if (code != RZ_OK) return code;
    const Counters &c = device->counters;
    rz_counters value = {};
    value.submissions = c.submissions;
    value.dispatches = c.dispatches;
    value.barriers = c.barriers;
    value.allocations = c.allocations;
    value.bytes_written = c.bytes_written;
    value.bytes_read = c.bytes_read;
    value.memory_used = c.memory_used;
    value.memory_peak = c.memory_peak;
    fill_struct(out, value);
    return RZ_OK;
}

} // namespace

const rz_device_api kDeviceApi = {sizeof(rz_device_api), 0,        close,
                                  capabilities,          classify, counters};

} // namespace realizar::cpu
