// The parts of packed blocks (kernels/packed_format.h), from and to bytes of 8 elements each.
#pragma once

#include <cstdint>
#include <cstring>

namespace realizar::cpu::packing {

constexpr uint64_t kLowNibbles = 0x0f0f0f0f0f0f0f0f, kCrumbs = 0x0303030303030303,
                   kBits = 0x0101010101010101;

inline uint64_t load8(const uint8_t *p) {
    uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
}
inline void store8(uint8_t *p, uint64_t v) { std::memcpy(p, &v, 8); }
inline uint32_t load4(const uint8_t *p) {
    uint32_t v;
    std::memcpy(&v, p, 4);
    return v;
}
inline void store4(uint8_t *p, uint32_t v) { std::memcpy(p, &v, 4); }

// Two quads of elements of BITS bits, each in a byte, one quad above the other; and back.
template <unsigned BITS>
constexpr uint32_t join_quads(uint64_t elements) {
    return static_cast<uint32_t>(elements) | static_cast<uint32_t>(elements >> 32) << BITS;
}
template <unsigned BITS>
constexpr uint64_t split_quads(uint32_t quads) {
    constexpr uint32_t mask = ((1u << BITS) - 1) * 0x01010101u;
    return (quads & mask) | static_cast<uint64_t>(quads >> BITS & mask) << 32;
}

// Elements 8 EIGHT.. of a line of nibbles, crumbs or bits.
inline void put_nibbles(uint8_t *lines, uint64_t eight, unsigned lane, uint64_t elements) {
    store4(lines + 64 * eight + 4 * lane, join_quads<4>(elements));
}
inline uint64_t get_nibbles(const uint8_t *lines, uint64_t eight, unsigned lane) {
    return split_quads<4>(load4(lines + 64 * eight + 4 * lane));
}
// 32 of crumbs or bits, in fours of 8 elements. A line holds 8 / BITS quads.
template <unsigned BITS>
void put_thin(uint8_t *lines, uint64_t first_eight, unsigned lane, const uint64_t (&elements)[4]) {
    constexpr uint64_t per_line = 4 / BITS; // eights
    for (uint64_t e = 0; e < 4; e += per_line) {
        uint32_t quads = 0;
        for (uint64_t i = 0; i < per_line; ++i)
            quads |= join_quads<BITS>(elements[e + i]) << 2 * BITS * i;
        store4(lines + 64 * ((first_eight + e) / per_line) + 4 * lane, quads);
    }
}
template <unsigned BITS>
uint64_t get_thin(const uint8_t *lines, uint64_t eight, unsigned lane) {
    constexpr uint64_t per_line = 4 / BITS;
    const uint32_t quads = load4(lines + 64 * (eight / per_line) + 4 * lane);
    return split_quads<BITS>(quads >> 2 * BITS * (eight % per_line));
}

// 8 bits as bytes of 0 or 1, and back.
constexpr uint64_t spread_bits(uint32_t bits) {
    const auto four = [](uint64_t b) { return b * 0x00204081u & 0x01010101u; };
    return four(bits & 15) | four(bits >> 4 & 15) << 32;
}
constexpr uint32_t gather_bits(uint64_t bytes) {
    return static_cast<uint32_t>(bytes * 0x0102040810204080u >> 56);
}

// `count` numbers of 4 or of 6 bits.
inline void put_fours(const uint8_t *values, unsigned count, uint8_t *fours, unsigned lane) {
    for (unsigned p = 0; p < count / 2; ++p)
        fours[16 * p + lane] =
            static_cast<uint8_t>((values[2 * p] & 15) | (values[2 * p + 1] & 15) << 4);
}
inline void put_six(const uint8_t *values, unsigned count, uint8_t *fours, uint8_t *twos,
                    unsigned lane) {
    put_fours(values, count, fours, lane);
    for (unsigned j = 0; j < count / 4; ++j) {
        unsigned bits = 0;
        for (unsigned i = 0; i < 4; ++i)
            bits |= static_cast<unsigned>(values[4 * j + i] >> 4 & 3) << 2 * i;
        twos[16 * j + lane] = static_cast<uint8_t>(bits);
    }
}
inline void get_six(const uint8_t *fours, const uint8_t *twos, unsigned count, unsigned lane,
                    uint8_t *values) {
    for (unsigned i = 0; i < count; ++i)
        values[i] = static_cast<uint8_t>((fours[16 * (i / 2) + lane] >> 4 * (i % 2) & 15) |
                                         (twos[16 * (i / 4) + lane] >> 2 * (i % 4) & 3) << 4);
}

} // namespace realizar::cpu::packing
