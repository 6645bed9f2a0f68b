#include "plugins/common/entry.h"

#include "plugins/common/support.h"

namespace realizar::plugin {

rz_code answer_hello(const rz_hello *hello, const rz_plugin &table, const rz_plugin **out,
                     rz_error *err) {
    if (!hello || !out)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "entry: hello or out is NULL");
    if (hello->struct_size < sizeof(rz_hello))
        return fail(err, RZ_VERSION_MISMATCH, RZ_NONE, "rz_hello: expected %zu bytes, found %u",
                    sizeof(rz_hello), hello->struct_size);
    const rz_code code = check_struct(hello, sizeof(rz_hello), 0, "rz_hello", err);
    if (code != RZ_OK) return code;
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
    *out = &table;
    return RZ_OK;
}

} // namespace realizar::plugin
