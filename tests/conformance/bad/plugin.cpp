#include "objects.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <unistd.h>

rz_code fail(rz_error *err, rz_code code, const char *format, ...) {
    if (err == nullptr) return code;
    err->code = code;
    err->native_code = 0;
    err->node = RZ_NONE;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return code;
}

namespace {

// The extension of docs/conformance.md, section "Failures on purpose".
struct FaultExtension {
    uint32_t struct_size;
    uint32_t flags;
    rz_code (*fail_next)(rz_device *device, rz_code code);
};

rz_code fail_next(rz_device *device, rz_code code) {
    device->next_failure = code;
    return RZ_OK;
}

const FaultExtension kFaultExtension = {sizeof(FaultExtension), 0, fail_next};

const void *get_extension(const char *id) {
    if (std::strcmp(id, "x-realizar.fault/1") == 0 || has(Fault::invents_extension))
        return &kFaultExtension;
    return nullptr;
}

rz_program_api without_info() {
    rz_program_api api = kProgramApi;
    api.info = nullptr;
    return api;
}

const rz_program_api kProgramWithoutInfo = without_info();

const rz_plugin kPlugin = {
    sizeof(rz_plugin),
    0,
    RZ_ABI_MAJOR,
    RZ_ABI_MINOR,
    RZ_ABI_HASH,
    "kit_control",
    "0.1.0",
    "realizar tests",
    "",
    "MIT",
    &kDriverApi,
    &kDeviceApi,
    &kBufferApi,
    &kWeightsApi,
    has(Fault::null_function) ? &kProgramWithoutInfo : &kProgramApi,
    &kInstanceApi,
    &kQueueApi,
    &kTimelineApi,
    get_extension,
};

} // namespace

extern "C" rz_code rz_plugin_entry_v1(const rz_hello *hello, const rz_plugin **out, rz_error *err) {
    if (has(Fault::entry_prints)) std::printf("hello\n"), std::fflush(stdout);
    if (has(Fault::entry_starts_thread)) std::thread([] { pause(); }).detach();
    if (!has(Fault::reads_past_hello) && !RZ_HAS(hello, rz_hello, sanitizer))
        return fail(err, RZ_VERSION_MISMATCH, "hello: expected the fields of ABI 0.1");
    if (hello->abi_major != RZ_ABI_MAJOR ||
        (hello->abi_hash != RZ_ABI_HASH && !has(Fault::ignores_hash)))
        return fail(err, RZ_VERSION_MISMATCH, "expected ABI %u.%u, found %u.%u", RZ_ABI_MAJOR,
                    RZ_ABI_MINOR, hello->abi_major, hello->abi_minor);
    if ((hello->flags & 0xffffu) != 0 && !has(Fault::ignores_hello_flags))
        return fail(err, RZ_UNSUPPORTED, "hello: unknown required flags %#x", hello->flags);
    *out = &kPlugin;
    return RZ_OK;
}
