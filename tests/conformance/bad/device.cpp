#include "objects.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace {

char *volatile leaked;

rz_code driver_create(const rz_host *host, rz_driver **out, rz_error *err) {
    if (unknown_required(host->flags)) return fail(err, RZ_UNSUPPORTED, "host: unknown flags");
    if (has(Fault::leaks_memory)) leaked = new char[4096]();
    if (has(Fault::leaks_file)) (void)!open("/dev/null", O_RDONLY);
    if (has(Fault::leaks_thread)) std::thread([] { pause(); }).detach();
    *out = new rz_driver{host};
    return RZ_OK;
}

void driver_destroy(rz_driver *driver) { delete driver; }

rz_device_info describe() {
    rz_device_info info{};
    info.struct_size = sizeof info;
    info.kind = RZ_DEVICE_CPU;
    info.caps = RZ_CAP_HOST_MEMORY;
    info.alignment = 64;
    std::strcpy(info.id, "0");
    std::strcpy(info.name, "one thread");
    std::strcpy(info.isa, "scalar");
    return info;
}

// Two devices, so that strides and counts of enumerate matter.
constexpr uint32_t kDevices = 2;

rz_code enumerate(rz_driver *, rz_device_info *infos, uint32_t stride, uint32_t *count,
                  rz_error *) {
    if (has(Fault::enumerate_ignores_stride)) stride = sizeof(rz_device_info);
    const uint32_t room = infos == nullptr                 ? 0
                          : has(Fault::enumerate_overruns) ? kDevices
                                                           : std::min(*count, kDevices);
    for (uint32_t i = 0; i < room; ++i) {
        auto *at = reinterpret_cast<uint8_t *>(infos) + i * stride;
        rz_device_info info = describe();
        info.id[0] = static_cast<char>('0' + i);
        std::memcpy(at + 4, reinterpret_cast<const uint8_t *>(&info) + 4, sizeof info - 4);
    }
    *count = kDevices;
    return RZ_OK;
}

rz_code driver_open(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err) {
    if (index >= kDevices)
        return fail(err, RZ_INVALID_ARGUMENT, "device: expected an index below 2, found %u", index);
    *out = new rz_device{driver, {}, {}};
    return RZ_OK;
}

void device_close(rz_device *device) { delete device; }

rz_code capabilities(rz_device *, rz_capability *rows, uint32_t stride, uint32_t *count,
                     rz_error *) {
    const uint32_t have = has(Fault::claims_nothing) ? 0 : capability_count();
    const uint32_t room = rows == nullptr ? 0 : std::min(*count, have);
    for (uint32_t i = 0; i < room; ++i)
        std::memcpy(reinterpret_cast<uint8_t *>(rows) + size_t{i} * stride + 4,
                    reinterpret_cast<const uint8_t *>(capability_rows() + i) + 4,
                    sizeof(rz_capability) - 4);
    *count = have;
    return RZ_OK;
}

rz_code classify(rz_device *, const rz_graph *graph, uint8_t *states, rz_error *err) {
    std::vector<bool> unknown;
    if (!has(Fault::dies_on_bad_graph)) {
        const realizar::Status status = realizar::validate_graph(*graph, &unknown);
        if (!status) {
            const bool lacks = status.error().code == realizar::Code::unsupported;
            return fail(err, lacks ? RZ_UNSUPPORTED : RZ_INVALID_ARGUMENT, "%s",
                        status.error().message.c_str());
        }
    }
    const auto is_unknown = [&](uint32_t i) { return i < unknown.size() && unknown[i]; };
    for (uint32_t i = 0; i < graph->node_count; ++i)
        states[i] = RZ_NODE_NO;
    for (uint32_t i = 0; i < graph->node_count; ++i)
        if (is_unknown(i)) return RZ_OK;
    const realizar::Graph copy = realizar::Graph::copy(*graph);
    for (uint32_t i = 0; i < graph->node_count; ++i)
        states[i] = supports(copy, copy.nodes()[i]) ? RZ_NODE_YES : RZ_NODE_NO;
    return RZ_OK;
}

rz_code counters(rz_device *device, rz_counters *out, rz_error *) {
    out->submissions = device->submissions;
    return RZ_OK;
}

} // namespace

const rz_driver_api kDriverApi = {sizeof(rz_driver_api), 0,         driver_create,
                                  driver_destroy,        enumerate, driver_open};
const rz_device_api kDeviceApi = {sizeof(rz_device_api), 0,        device_close,
                                  capabilities,          classify, counters};
