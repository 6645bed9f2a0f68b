/* The entry and the plugin's table. */
#include "null.h"

#ifndef REALIZAR_SANITIZER_KIND
#if defined(__SANITIZE_ADDRESS__)
#define REALIZAR_SANITIZER_KIND RZ_SANITIZER_ADDRESS
#elif defined(__SANITIZE_THREAD__)
#define REALIZAR_SANITIZER_KIND RZ_SANITIZER_THREAD
#else
#define REALIZAR_SANITIZER_KIND RZ_SANITIZER_NONE
#endif
#endif

RZ_PLUGIN_NOTE(REALIZAR_SANITIZER_KIND);

static const void *get_extension(const char *id) {
    (void)id;
    return NULL;
}

static const rz_plugin plugin = {
    .struct_size = sizeof(rz_plugin),
    .abi_major = RZ_ABI_MAJOR,
    .abi_minor = RZ_ABI_MINOR,
    .abi_hash = RZ_ABI_HASH,
    .id = NULL_PLUGIN_ID,
    .version = NULL_PLUGIN_VERSION,
    .vendor = "realizar",
    .build = "C11, " __VERSION__,
    .license = "MIT",
    .driver = &null_driver_api,
    .device = &null_device_api,
    .buffer = &null_buffer_api,
    .weights = &null_weights_api,
    .program = &null_program_api,
    .instance = &null_instance_api,
    .queue = &null_queue_api,
    .timeline = &null_timeline_api,
    .get_extension = get_extension,
};

/* While the version is 0.x the two sides must have been built against the same header. */
RZ_EXPORT rz_code rz_plugin_entry_v1(const rz_hello *hello, const rz_plugin **out, rz_error *err) {
    const rz_code code = null_check_struct(hello, sizeof *hello, 0, "rz_hello", err);
    if (code != RZ_OK) return code;
    if (!out) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a place for the table");
    *out = NULL;
    if (hello->abi_major != RZ_ABI_MAJOR || hello->abi_minor != RZ_ABI_MINOR ||
        hello->abi_hash != RZ_ABI_HASH)
        return null_fail(
            err, RZ_VERSION_MISMATCH,
            "expected a host with backend ABI %u.%u, hash %llx; found %u.%u, hash %llx",
            RZ_ABI_MAJOR, RZ_ABI_MINOR, (unsigned long long)RZ_ABI_HASH, hello->abi_major,
            hello->abi_minor, (unsigned long long)hello->abi_hash);
    if (hello->sanitizer != REALIZAR_SANITIZER_KIND)
        return null_fail(err, RZ_VERSION_MISMATCH, "expected a host of sanitizer kind %u, found %u",
                         REALIZAR_SANITIZER_KIND, hello->sanitizer);
    *out = &plugin;
    return RZ_OK;
}
