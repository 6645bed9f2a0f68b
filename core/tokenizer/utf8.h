// UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace realizar {

enum class Utf8Kind {
    whole, // a character
    cut,   // the text ends inside what could become a character
    bad,   // bytes that are part of no character
};

struct Utf8Unit {
    size_t length; // bytes, at least 1; for bad ones the maximal part of a character
    Utf8Kind kind;
};

// What stands at the beginning of a text that is not empty.
inline Utf8Unit next_utf8(std::string_view text) {
    const auto lead = static_cast<uint8_t>(text[0]);
    if (lead < 0x80) return {1, Utf8Kind::whole};
    if (lead < 0xC2 || lead > 0xF4) return {1, Utf8Kind::bad};
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    // The second byte's range is narrower after these leads (RFC 3629, section 4).
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < length; ++i) {
        if (i == text.size()) return {i, Utf8Kind::cut};
        const auto byte = static_cast<uint8_t>(text[i]);
        if (byte < low || byte > high) return {i, Utf8Kind::bad};
        low = 0x80;
        high = 0xBF;
    }
    return {length, Utf8Kind::whole};
}

// Bytes at the beginning of the text that are whole characters.
inline size_t valid_utf8_prefix(std::string_view text) {
    size_t end = 0;
    while (end < text.size()) {
        const Utf8Unit unit = next_utf8(text.substr(end));
        if (unit.kind != Utf8Kind::whole) break;
        end += unit.length;
    }
    return end;
}

} // namespace realizar
