// The entry of the CPU backend.
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
    using realizar::cpu::fail;
    if (!hello || !out)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "entry: hello or out is NULL");
    if (hello->struct_size < sizeof(rz_hello))
        return fail(err, RZ_VERSION_MISMATCH, RZ_NONE, "rz_hello: expected %zu bytes, found %u",
                    sizeof(rz_hello), hello->struct_size);
    const rz_code code = realizar::cpu::check_struct(hello, sizeof(rz_hello), 0, "rz_hello", err);
    if (code != RZ_OK) return code;
    // While the version is 0.x only equal headers may meet.
    if (hello->abi_major != RZ_ABI_MAJOR || hello->abi_minor != RZ_ABI_MINOR ||
        hello->abi_hash != RZ_ABI_HASH)
        return fail(err, RZ_VERSION_MISMATCH, RZ_NONE,
                    "expected ABI %u.%u with hash %016llx, found %u.%u with %016llx", RZ_ABI_MAJOR,
                    RZ_ABI_MINOR, RZ_ABI_HASH, hello->abi_major, hello->abi_minor,
                    static_cast<unsigned long long>(hello->abi_hash));
    if (hello->sanitizer != REALIZAR_SANITIZER_KIND)
        return fail(err, RZ_VERSION_MISMATCH, RZ_NONE,
                    "this plugin was built with sanitizer %u, the host with %u",
                    REALIZAR_SANITIZER_KIND, hello->sanitizer);
    *out = &realizar::cpu::kPlugin;
    return RZ_OK;
}
