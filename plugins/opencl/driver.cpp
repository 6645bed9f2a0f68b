#include "plugins/opencl/driver.h"

#include "plugins/opencl/clblast/library.h"
#include "plugins/opencl/device.h"
#include "plugins/opencl/plan/step.h"

#include <cstdio>
#include <cstring>

namespace realizar::opencl {

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

std::string describe_features(const rz_driver &driver, const Physical &device) {
    std::string text = std::to_string(device.features.units) + " units";
    if (!device.pci.empty()) text += " " + device.pci;
    if (device.features.ptx)
        text += device.features.mma ? " ptx mma" : " ptx";
    else if (device.features.dot)
        text += " dot";
    if (device.features.products != Products::own)
        text += " " + find_clblast(driver.api).library->name();
    if (!driver.settings.disabled.empty()) text += " without " + driver.settings.disabled;
    return text;
}

rz_device_info describe_device(const rz_driver &driver, uint32_t index) {
    const Physical &device = driver.devices[index];
    rz_device_info info = {};
    info.kind = device.kind;
    info.caps = RZ_CAP_ASYNC | RZ_CAP_STEPS;
    info.memory_total = device.memory;
    info.max_allocation = device.max_allocation;
    info.alignment = kPlaceAlignment;
    std::memcpy(info.uuid, device.uuid, sizeof(info.uuid));
    std::snprintf(info.id, sizeof(info.id), "%u", index);
    std::snprintf(info.name, sizeof(info.name), "%.127s", device.name.c_str());
    std::snprintf(info.driver, sizeof(info.driver), "%.127s", device.driver.c_str());
    std::snprintf(info.isa, sizeof(info.isa), "%.63s", describe_features(driver, device).c_str());
    return info;
}

rz_code enumerate(rz_driver *driver, rz_device_info *infos, uint32_t stride, uint32_t *count,
                  rz_error *err) {
    return guarded(err, [&] {
        if (!driver || !count)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "driver.enumerate: NULL argument");
        const auto total = static_cast<uint32_t>(driver->devices.size());
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
        if (index >= driver->devices.size())
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "driver.open: expected a device below %zu, found %u",
                        driver->devices.size(), index);
        *out = new rz_device(*driver, driver->devices[index]);
        return RZ_OK;
    });
}

} // namespace

const rz_driver_api kDriverApi = {sizeof(rz_driver_api), 0, create, destroy, enumerate, open};

} // namespace realizar::opencl
