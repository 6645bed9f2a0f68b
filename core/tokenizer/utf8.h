// UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
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

// The code point of one whole character.
inline char32_t code_of_utf8(std::string_view character) {
    const auto lead = static_cast<uint8_t>(character[0]);
    if (character.size() == 1) return lead;
    char32_t code = lead & (0xFFu >> (character.size() + 1));
    for (const char c : character.substr(1))
        code = code << 6 | (static_cast<uint8_t>(c) & 0x3Fu);
    return code;
}

// `code` is below 0x110000.
inline void append_utf8(char32_t code, std::string &out) {
    const auto tail = [&](unsigned shift) {
        out.push_back(static_cast<char>(0x80 | (code >> shift & 0x3F)));
    };
    if (code < 0x80) {
        out.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
        out.push_back(static_cast<char>(0xC0 | code >> 6));
        tail(0);
    } else if (code < 0x10000) {
        out.push_back(static_cast<char>(0xE0 | code >> 12));
        tail(6);
        tail(0);
    } else {
        out.push_back(static_cast<char>(0xF0 | code >> 18));
        tail(12);
        tail(6);
        tail(0);
    }
}

} // namespace realizar
