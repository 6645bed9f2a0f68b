// The table that a plugin's entry returns.
#include "core/reference/plugin/objects.h"

namespace realizar {
namespace reference {
namespace {

const void *get_extension(const char *) { return nullptr; }

constexpr rz_plugin kPlugin = {
    .struct_size = sizeof(rz_plugin),
    .flags = 0,
    .abi_major = RZ_ABI_MAJOR,
    .abi_minor = RZ_ABI_MINOR,
    .abi_hash = RZ_ABI_HASH,
    .id = "reference",
    .version = "0.1.0",
    .vendor = "realizar",
    .build = "built in, compiler " __VERSION__,
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
} // namespace reference

const rz_plugin *reference_plugin() { return &reference::kPlugin; }

} // namespace realizar
