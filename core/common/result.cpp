#include "core/common/result.h"

#include <cstdarg>
#include <cstdint>
#include <cstdio>

namespace realizar {

const char *code_name(Code code) {
    switch (code) {
    case Code::invalid_argument: return "invalid_argument";
    case Code::not_found: return "not_found";
    case Code::io: return "io";
    case Code::malformed: return "malformed";
    case Code::unsupported: return "unsupported";
    case Code::unavailable: return "unavailable";
    case Code::out_of_memory: return "out_of_memory";
    case Code::context_full: return "context_full";
    case Code::cancelled: return "cancelled";
    case Code::timeout: return "timeout";
    case Code::device_lost: return "device_lost";
    case Code::internal: return "internal";
    }
    return "internal";
}

Error make_error(Code code, const char *tag, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list copy;
    va_copy(copy, arguments);
    const int size = std::vsnprintf(nullptr, 0, format, copy);
    va_end(copy);
    std::string message(size > 0 ? static_cast<size_t>(size) : 0, '\0');
    if (size > 0) std::vsnprintf(message.data(), message.size() + 1, format, arguments);
    va_end(arguments);
    return Error{code, tag, std::move(message)};
}

namespace {

// Length of the well-formed UTF-8 sequence at the start of text, 0 if there is none (RFC 3629).
size_t utf8_sequence(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(0);
    if (lead < 0x80) return 1;
    const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return 0;
    for (size_t i = 1; i < size; ++i)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
    if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
    return size;
}

} // namespace

std::string printable(std::string_view text, size_t limit) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (i >= limit) return out + "...";
        const auto lead = static_cast<uint8_t>(text[i]);
        const size_t size = lead < 0x20 || lead == 0x7F ? 0 : utf8_sequence(text.substr(i));
        if (size == 0) {
            char hex[8];
            std::snprintf(hex, sizeof hex, "\\x%02X", lead);
            out += hex;
            ++i;
        } else {
            out.append(text.substr(i, size));
            i += size;
        }
    }
    return out;
}

} // namespace realizar
