#include "plugins/common/support.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace realizar::plugin {

rz_code fail(rz_error *err, rz_code code, uint32_t node, const char *format, ...) {
    if (!err || err->struct_size < sizeof(rz_error)) return code;
    err->code = code;
    err->native_code = 0;
    err->node = node;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(err->message, sizeof(err->message), format, arguments);
    va_end(arguments);
    return code;
}

rz_code check_struct(const void *data, size_t least, uint32_t known, const char *what,
                     rz_error *err) {
    if (!data) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "expected %s, found NULL", what);
    uint32_t head[2]; // every struct starts with struct_size and flags
    std::memcpy(head, data, sizeof(head));
    if (head[0] < least)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "%s: expected at least %zu bytes, found %u",
                    what, least, head[0]);
    const uint32_t unknown = head[1] & 0xffffu & ~known;
    if (unknown)
        return fail(err, RZ_UNSUPPORTED, RZ_NONE, "%s: required flags 0x%x are not known", what,
                    unknown);
    return RZ_OK;
}

} // namespace realizar::plugin
