/* What every other file uses: errors and the struct rules. */
#include "null.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

rz_code null_fail(rz_error *err, rz_code code, const char *format, ...) {
    if (!err || err->struct_size < sizeof *err) return code;
    err->flags = 0;
    err->code = code;
    err->native_code = 0;
    err->node = RZ_NONE;
    err->reserved = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return code;
}

rz_code null_check_struct(const void *object, uint64_t size, uint32_t known, const char *name,
                          rz_error *err) {
    if (!object) return null_fail(err, RZ_INVALID_ARGUMENT, "expected an %s, found NULL", name);
    uint32_t head[2]; /* struct_size, flags */
    memcpy(head, object, sizeof head);
    if (head[0] < size)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "expected an %s of at least %llu bytes, found %u", name,
                         (unsigned long long)size, head[0]);
    const uint32_t unknown = head[1] & 0xffffu & ~known;
    if (unknown)
        return null_fail(err, RZ_UNSUPPORTED, "%s: the required flags 0x%x are unknown", name,
                         unknown);
    return RZ_OK;
}
