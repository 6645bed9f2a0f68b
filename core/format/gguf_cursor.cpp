#include "core/format/gguf_cursor.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace realizar {

Error GgufCursor::fail(const char *tag, uint64_t offset, const char *format, ...) const {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (subject_kind_ == nullptr)
        return make_error(Code::malformed, tag, "byte %" PRIu64 ": %s", offset, text);
    return make_error(Code::malformed, tag, "byte %" PRIu64 ": %s '%s': %s", offset, subject_kind_,
                      printable(subject_).c_str(), text);
}

Status GgufCursor::read_string(std::string_view &text, const char *truncated_tag) {
    const uint64_t start = at_;
    uint64_t size = 0;
    if (!read(size))
        return fail(truncated_tag, start, "expected a string length, found the end of the file");
    if (size > left())
        return fail("string_exceeds_file", start,
                    "expected a string within the %" PRIu64 " bytes left, found length %" PRIu64,
                    left(), size);
    text = take_text(size);
    return {};
}

} // namespace realizar
