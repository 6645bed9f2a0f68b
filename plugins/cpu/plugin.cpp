// The entry of the CPU backend.
#include "plugins/common/entry.h"
#include "plugins/cpu/buffer.h"
#include "plugins/cpu/device.h"
#include "plugins/cpu/driver.h"
#include "plugins/cpu/instance.h"
#include "plugins/cpu/isa_extension.h"
#include "plugins/cpu/program.h"
#include "plugins/cpu/queue.h"
#include "plugins/cpu/timeline.h"
#include "plugins/cpu/weights.h"

#include <cstring>

RZ_PLUGIN_NOTE(REALIZAR_SANITIZER_KIND);

namespace realizar::cpu {

namespace {

uint64_t isa_calls(const char *isa) {
    for (const Kernels *kernels : available_kernels())
        if (std::strcmp(kernels->isa, isa) == 0) return kernels->calls();
    return 0;
}

constexpr IsaExtension kIsaExtension = {sizeof(IsaExtension), 0, isa_calls};

const void *get_extension(const char *id) {
    if (!id) return nullptr;
    if (std::strcmp(id, RZ_EXT_COMPUTE_POOL) == 0) return &kComputePool;
    if (std::strcmp(id, kIsaExtensionId) == 0) return &kIsaExtension;
    return nullptr;
}

const rz_plugin kPlugin = {
    .struct_size = sizeof(rz_plugin),
    .flags = 0,
    .abi_major = RZ_ABI_MAJOR,
    .abi_minor = RZ_ABI_MINOR,
    .abi_hash = RZ_ABI_HASH,
    .id = "cpu",
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

} // namespace realizar::cpu

extern "C" RZ_EXPORT rz_code rz_plugin_entry_v1(const rz_hello *hello, const rz_plugin **out,
                                                rz_error *err) {
    return realizar::plugin::answer_hello(hello, realizar::cpu::kPlugin, out, err);
}
