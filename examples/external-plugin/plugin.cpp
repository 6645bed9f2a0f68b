// The entry and the tables.
#include "scale.h"

#if defined(__SANITIZE_ADDRESS__)
constexpr uint32_t kSanitizer = RZ_SANITIZER_ADDRESS;
#elif defined(__SANITIZE_THREAD__)
constexpr uint32_t kSanitizer = RZ_SANITIZER_THREAD;
#else
constexpr uint32_t kSanitizer = RZ_SANITIZER_NONE;
#endif

RZ_PLUGIN_NOTE(kSanitizer);

static const rz_plugin plugin = {
    sizeof(rz_plugin),
    0,
    RZ_ABI_MAJOR,
    RZ_ABI_MINOR,
    RZ_ABI_HASH,
    "scale",
    "1.0.0",
    "an example",
    "C++17, " __VERSION__,
    "MIT",
    &scale::driver_api,
    &scale::device_api,
    &scale::buffer_api,
    &scale::weights_api,
    &scale::program_api,
    &scale::instance_api,
    &scale::queue_api,
    &scale::timeline_api,
    [](const char *) -> const void * { return nullptr; },
};

RZ_EXPORT rz_code rz_plugin_entry_v1(const rz_hello *hello, const rz_plugin **out, rz_error *err) {
    return scale::guarded(err, [&] {
        scale::check_struct(hello);
        scale::require(out != nullptr, "a place for the table");
        *out = nullptr;
        scale::require(hello->abi_major == RZ_ABI_MAJOR && hello->abi_minor == RZ_ABI_MINOR &&
                           hello->abi_hash == RZ_ABI_HASH,
                       "a host with the ABI of this plugin's backend.h", RZ_VERSION_MISMATCH);
        scale::require(hello->sanitizer == kSanitizer, "a host built with the same sanitizer",
                       RZ_VERSION_MISMATCH);
        *out = &plugin;
    });
}
