#include "plugins/vulkan/driver.h"

#include "plugins/vulkan/device.h"
#include "plugins/vulkan/plan/layout.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace realizar::vulkan {

namespace {

rz_code create(const rz_host *host, rz_driver **out, rz_error *err) {
    return guarded(err, [&] {
        const rz_code code = check_struct(host, sizeof(rz_host), 0, "rz_host", err);
        if (code != RZ_OK) return code;
        if (!out) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "driver.create: out is NULL");
        *out = new rz_driver(*host);
        return RZ_OK;
    });
}

void destroy(rz_driver *driver) { delete driver; }

uint32_t kind_of(const Physical &device) {
    switch (device.properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return RZ_DEVICE_CPU;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return RZ_DEVICE_INTEGRATED_GPU;
    default: return RZ_DEVICE_GPU;
    }
}

std::string describe_features(const rz_driver &driver, const Physical &device) {
    const Features &f = device.features;
    std::string text = "subgroup " + std::to_string(device.subgroup_size);
    if (f.fp16) text += " fp16";
    if (f.int_dot) text += " int_dot";
    if (f.coopmat_khr) text += " coopmat";
    if (f.coopmat_nv) text += " coopmat2";
    if (!driver.settings.disabled.empty()) text += " without " + driver.settings.disabled;
    return text;
}

rz_device_info describe_device(const rz_driver &driver, uint32_t index) {
    const Physical &device = driver.instance.devices()[index];
    rz_device_info info = {};
    info.kind = kind_of(device);
    info.caps =
        RZ_CAP_ASYNC | RZ_CAP_STEPS | (device.features.host_memory ? RZ_CAP_HOST_MEMORY : 0);
    info.memory_total = device.device_memory();
    info.memory_free = device.free_memory();
    info.max_allocation = std::min(device.max_allocation, device.device_memory());
    info.alignment = kPlaceAlignment;
    std::memcpy(info.uuid, device.uuid, sizeof(info.uuid));
    std::snprintf(info.id, sizeof(info.id), "%u", index);
    std::snprintf(info.name, sizeof(info.name), "%.127s", device.properties.deviceName);
    const uint32_t api = device.properties.apiVersion;
    std::snprintf(info.driver, sizeof(info.driver), "%.48s %.48s, Vulkan %u.%u",
                  device.driver.driverName, device.driver.driverInfo, VK_API_VERSION_MAJOR(api),
                  VK_API_VERSION_MINOR(api));
    std::snprintf(info.isa, sizeof(info.isa), "%.63s", describe_features(driver, device).c_str());
    return info;
}

rz_code enumerate(rz_driver *driver, rz_device_info *infos, uint32_t stride, uint32_t *count,
                  rz_error *err) {
    return guarded(err, [&] {
        if (!driver || !count)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "driver.enumerate: NULL argument");
        const auto total = static_cast<uint32_t>(driver->instance.devices().size());
        for (uint32_t i = 0; infos && i < *count && i < total; ++i) {
            auto *info = reinterpret_cast<rz_device_info *>(reinterpret_cast<std::byte *>(infos) +
                                                            size_t{stride} * i);
            const rz_code code =
                check_struct(info, sizeof(rz_device_info), 0xffff, "rz_device_info", err);
            if (code != RZ_OK) return code;
            fill_struct(info, describe_device(*driver, i));
        }
        *count = total;
        return RZ_OK;
    });
}

rz_code open(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err) {
    return guarded(err, [&] {
        if (!driver || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "driver.open: NULL argument");
        const auto &devices = driver->instance.devices();
        if (index >= devices.size())
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "driver.open: expected a device below %zu, found %u", devices.size(),
                        index);
        *out = new rz_device(*driver, devices[index]);
        return RZ_OK;
    });
}

} // namespace

const rz_driver_api kDriverApi = {sizeof(rz_driver_api), 0, create, destroy, enumerate, open};

} // namespace realizar::vulkan
