// The entry of the OpenCL backend.
#include "plugins/common/entry.h"
#include "plugins/opencl/buffer.h"
#include "plugins/opencl/device.h"
#include "plugins/opencl/driver.h"
#include "plugins/opencl/instance.h"
#include "plugins/opencl/program.h"
#include "plugins/opencl/queue.h"
#include "plugins/opencl/timeline.h"
#include "plugins/opencl/weights.h"

#include <cstdlib>
#include <cstring>

RZ_PLUGIN_NOTE(REALIZAR_SANITIZER_KIND);

namespace realizar::opencl {

namespace {

// The extension "x-realizar.fault/1" (docs/conformance.md), for tests of how failures travel.
struct FaultExtension {
    uint32_t struct_size;
    uint32_t flags;
    rz_code (*fail_next)(rz_device *device, rz_code code);
};

rz_code fail_next(rz_device *device, rz_code code) {
    if (!device) return RZ_INVALID_ARGUMENT;
    device->gpu.fail_next(code);
    return RZ_OK;
}

constexpr FaultExtension kFault = {sizeof(FaultExtension), 0, fail_next};

const void *get_extension(const char *id) {
    // Only where a test asked for failures.
    const char *asked = std::getenv("REALIZAR_OPENCL_FAIL");
    if (id && asked && std::strcmp(id, "x-realizar.fault/1") == 0) return &kFault;
    return nullptr;
}

const rz_plugin kPlugin = {
    .struct_size = sizeof(rz_plugin),
    .flags = 0,
    .abi_major = RZ_ABI_MAJOR,
    .abi_minor = RZ_ABI_MINOR,
    .abi_hash = RZ_ABI_HASH,
    .id = "opencl",
    .version = "0.1.0",
    .vendor = "realizar",
    .build = "compiler " __VERSION__,
    .license = "MIT",
    .driver = &kDriverApi,
    .device = &kDeviceApi,
    .buffer = &kBufferApi,
    .weights = &kWeightsApi,
    .program = &kProgramApi,
    .instance = &kInstanceApi,
    .queue = &kQueueApi,
    .timeline = &kTimelineApi,
    .get_extension = get_extension,
};

} // namespace

} // namespace realizar::opencl

extern "C" RZ_EXPORT rz_code rz_plugin_entry_v1(const rz_hello *hello, const rz_plugin **out,
                                                rz_error *err) {
    return realizar::plugin::answer_hello(hello, realizar::opencl::kPlugin, out, err);
}
