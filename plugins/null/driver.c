/* The driver: the one device of this plugin. A real one opens its system library here with dlopen
 * and answers RZ_UNAVAILABLE, with what to install, when that fails. */
#include "null.h"

#include <stdio.h>
#include <stdlib.h>

static rz_code create(const rz_host *host, rz_driver **out, rz_error *err) {
    const rz_code code = null_check_struct(host, sizeof *host, 0, "rz_host", err);
    if (code != RZ_OK) return code;
    if (!out) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a place for the driver");
    *out = malloc(sizeof **out);
    if (!*out) return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a driver");
    (*out)->host = host;
    return RZ_OK;
}

static void destroy(rz_driver *driver) { free(driver); }

static void describe(rz_device_info *info) {
    info->flags = 0;
    info->kind = RZ_DEVICE_ACCELERATOR;
    info->reserved = 0;
    info->caps = RZ_CAP_HOST_MEMORY;
    info->memory_total = 0;
    info->memory_free = 0;
    info->max_allocation = 0;
    info->alignment = NULL_ALIGNMENT;
    for (size_t i = 0; i < sizeof info->uuid; ++i)
        info->uuid[i] = 0;
    snprintf(info->id, sizeof info->id, "0");
    snprintf(info->name, sizeof info->name, "null device");
    snprintf(info->driver, sizeof info->driver, "null " NULL_PLUGIN_VERSION);
    snprintf(info->isa, sizeof info->isa, "none");
}

static rz_code enumerate(rz_driver *driver, rz_device_info *infos, uint32_t stride, uint32_t *count,
                         rz_error *err) {
    if (!driver || !count)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a driver and a count, found NULL");
    if (infos && *count > 0) {
        const rz_code code = null_check_struct(infos, sizeof *infos, 0, "rz_device_info", err);
        if (code != RZ_OK) return code;
        if (stride < sizeof *infos)
            return null_fail(err, RZ_INVALID_ARGUMENT,
                             "expected a stride of at least %zu, found %u", sizeof *infos, stride);
        describe(infos);
    }
    *count = 1;
    return RZ_OK;
}

static rz_code open_device(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err) {
    if (!driver || !out)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a driver and a place, found NULL");
    *out = NULL;
    if (index != 0)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected device 0, found %u", index);
    rz_device *device = calloc(1, sizeof *device);
    if (!device) return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a device");
    device->host = driver->host;
    *out = device;
    return RZ_OK;
}

const rz_driver_api null_driver_api = {
    .struct_size = sizeof(rz_driver_api),
    .create = create,
    .destroy = destroy,
    .enumerate = enumerate,
    .open = open_device,
};
