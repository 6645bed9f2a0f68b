// The driver, its one device, and what the device can do.
#include "scale.h"

#include <cstring>

namespace scale {
namespace {

rz_code create(const rz_host *host, rz_driver **out, rz_error *err) {
    return guarded(err, [&] {
        check_struct(host);
        *out = new rz_driver{host};
    });
}

void destroy(rz_driver *driver) { delete driver; }

rz_code enumerate(rz_driver *, rz_device_info *infos, uint32_t stride, uint32_t *count,
                  rz_error *err) {
    return guarded(err, [&] {
        require(count != nullptr, "a count");
        if (infos && *count > 0) {
            check_struct(infos);
            require(stride >= sizeof *infos, "a stride of at least one info");
            const uint32_t size = infos->struct_size;
            std::memset(infos, 0, sizeof *infos);
            infos->struct_size = size;
            infos->kind = RZ_DEVICE_CPU;
            infos->caps = RZ_CAP_HOST_MEMORY;
            infos->alignment = kAlignment;
            std::strcpy(infos->id, "0");
            std::strcpy(infos->name, "one thread");
            std::strcpy(infos->driver, "scale 1.0.0");
            std::strcpy(infos->isa, "portable");
        }
        *count = 1;
    });
}

rz_code open(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err) {
    return guarded(err, [&] {
        require(driver && out && index == 0, "device 0");
        *out = new rz_device{driver->host};
    });
}

void close(rz_device *device) { delete device; }

rz_code capabilities(rz_device *, rz_capability *rows, uint32_t stride, uint32_t *count,
                     rz_error *err) {
    return guarded(err, [&] {
        require(count != nullptr, "a count");
        if (rows && *count > 0) {
            check_struct(rows);
            require(stride >= sizeof *rows, "a stride of at least one row");
            rows->op = RZ_OP_SCALE;
            rows->version = 1;
            rows->dtypes = RZ_DTYPE_BIT(RZ_DTYPE_F32);
        }
        *count = 1;
    });
}

rz_code classify(rz_device *, const rz_graph *graph, uint8_t *states, rz_error *err) {
    return guarded(err, [&] {
        check_struct(graph);
        const std::vector<rz_tensor> tensors = read_tensors(*graph);
        require(states || graph->node_count == 0, "room for states");
        for (uint32_t i = 0; i < graph->node_count; ++i) {
            const rz_node &node = at(graph->nodes, graph->node_stride, i);
            states[i] = can_run(tensors, node, nullptr) ? RZ_NODE_YES : RZ_NODE_NO;
        }
    });
}

rz_code counters(rz_device *device, rz_counters *out, rz_error *err) {
    return guarded(err, [&] {
        check_struct(out);
        const uint32_t size = out->struct_size;
        *out = {};
        out->struct_size = size;
        out->submissions = device->submissions;
        out->dispatches = device->dispatches;
    });
}

} // namespace

const rz_driver_api driver_api = {sizeof(rz_driver_api), 0, create, destroy, enumerate, open};
const rz_device_api device_api = {sizeof(rz_device_api), 0,        close,
                                  capabilities,          classify, counters};

} // namespace scale
