#include "core/reference/plugin/objects.h"

#include <cstdio>
#include <unistd.h>

namespace realizar::reference {
namespace {

rz_code create(const rz_host *host, rz_driver **out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_struct(host, "host", err));
        RZ_CHECK(check_handle(out, "place for the driver", err));
        if (host->alloc == nullptr || host->free == nullptr)
            return fail(err, RZ_INVALID_ARGUMENT,
                        "expected a host with alloc and free, found NULL");
        *out = handle(new Driver{host});
        return RZ_OK;
    });
}

void destroy(rz_driver *driver) { destroy_object(driver); }

void fill(rz_device_info &info) {
    const auto text = [](auto &to, const char *from) { std::snprintf(to, sizeof to, "%s", from); };
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    info.flags = 0;
    info.kind = RZ_DEVICE_CPU;
    info.reserved = 0;
    info.caps = RZ_CAP_HOST_MEMORY;
    info.memory_total = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page;
    info.memory_free = 0; // not known: what the page cache holds is free too
    info.max_allocation = 0;
    info.alignment = kAlignment;
    for (uint8_t &byte : info.uuid)
        byte = 0;
    text(info.id, "0");
    text(info.name, "float64 reference");
    text(info.driver, "built in");
    text(info.isa, "scalar");
}

rz_code enumerate(rz_driver *driver, rz_device_info *infos, uint32_t stride, uint32_t *count,
                  rz_error *err) {
    RZ_CHECK(check_handle(driver, "driver", err));
    RZ_CHECK(check_handle(count, "count", err));
    const uint32_t room = infos == nullptr ? 0 : *count;
    RZ_CHECK(check_array(infos, room > 0 ? 1 : 0, stride, "device info", err));
    if (room > 0) fill(*infos);
    *count = 1;
    return RZ_OK;
}

rz_code open(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(driver, "driver", err));
        RZ_CHECK(check_handle(out, "place for the device", err));
        if (index != 0)
            return fail(err, RZ_INVALID_ARGUMENT, "device index: expected 0, found %u", index);
        *out = handle(new Device{object(driver).host, {}});
        return RZ_OK;
    });
}

} // namespace

const rz_driver_api kDriverApi = {sizeof(rz_driver_api), 0, create, destroy, enumerate, open};

} // namespace realizar::reference
