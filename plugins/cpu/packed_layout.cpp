#include "plugins/cpu/packed_layout.h"

#include "plugins/cpu/kernels/packed_format.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace realizar::cpu {

namespace {

constexpr uint64_t kLowNibbles = 0x0f0f0f0f0f0f0f0f;

uint64_t load8(const uint8_t *p) {
    uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
}
void store8(uint8_t *p, uint64_t v) { std::memcpy(p, &v, 8); }
uint32_t load4(const uint8_t *p) {
    uint32_t v;
    std::memcpy(&v, p, 4);
    return v;
}
void store4(uint8_t *p, uint32_t v) { std::memcpy(p, &v, 4); }

// 8 elements of 4 bits, one in each byte, as the four bytes of a lane in a line of nibbles; and back.
uint32_t quad_of(uint64_t elements) {
    return static_cast<uint32_t>(elements) | static_cast<uint32_t>(elements >> 32) << 4;
}
uint64_t elements_of(uint32_t quad) {
    return (quad & 0x0f0f0f0fu) | static_cast<uint64_t>(quad >> 4 & 0x0f0f0f0fu) << 32;
}

// Q4_K: 32 bytes hold group 2 p in their low and group 2 p + 1 in their high halves.
void pack_nibbles(const uint8_t *source, uint8_t *lines, unsigned lane) {
    for (unsigned p = 0; p < 4; ++p)
        for (unsigned j = 0; j < 4; ++j) {
            const uint64_t raw = load8(source + 32 * p + 8 * j);
            uint8_t *line = lines + 64 * (8 * p + j) + 4 * lane;
            store4(line, quad_of(raw & kLowNibbles));
            store4(line + 4 * 64, quad_of(raw >> 4 & kLowNibbles));
        }
}
void unpack_nibbles(const uint8_t *lines, uint8_t *out, unsigned lane) {
    for (unsigned p = 0; p < 4; ++p)
        for (unsigned j = 0; j < 4; ++j) {
            const uint8_t *line = lines + 64 * (8 * p + j) + 4 * lane;
            store8(out + 32 * p + 8 * j,
                   elements_of(load4(line)) | elements_of(load4(line + 4 * 64)) << 4);
        }
}

// The 12 bytes with 8 scales and 8 mins of 6 bits: 4 bytes with the low bits of scales 0..3, 4 of mins
// 0..3, 4 with the low nibbles of scales and mins 4..7, whose high bits are on top of the first eight.
template <class Format>
void pack_scales(const uint8_t *source, uint8_t *block, unsigned lane) {
    uint8_t scales[8], mins[8];
    for (unsigned i = 0; i < 4; ++i) {
        scales[i] = source[i] & 63;
        mins[i] = source[4 + i] & 63;
        scales[4 + i] = static_cast<uint8_t>((source[8 + i] & 15) | (source[i] >> 6) << 4);
        mins[4 + i] = static_cast<uint8_t>(source[8 + i] >> 4 | (source[4 + i] >> 6) << 4);
    }
    const auto put = [&](const uint8_t *values, uint64_t low, uint64_t high) {
        for (unsigned p = 0; p < 4; ++p)
            block[low + 16 * p + lane] =
                static_cast<uint8_t>((values[2 * p] & 15) | (values[2 * p + 1] & 15) << 4);
        for (unsigned j = 0; j < 2; ++j) {
            unsigned bits = 0;
            for (unsigned i = 0; i < 4; ++i)
                bits |= static_cast<unsigned>(values[4 * j + i] >> 4) << 2 * i;
            block[high + 16 * j + lane] = static_cast<uint8_t>(bits);
        }
    };
    put(scales, Format::kScales, Format::kScalesHigh);
    put(mins, Format::kMins, Format::kMinsHigh);
}
template <class Format>
void unpack_scales(const uint8_t *block, uint8_t *out, unsigned lane) {
    const auto get = [&](unsigned i, uint64_t low, uint64_t high) {
        const unsigned nibble = block[low + 16 * (i / 2) + lane] >> 4 * (i % 2) & 15;
        const unsigned bits = block[high + 16 * (i / 4) + lane] >> 2 * (i % 4) & 3;
        return nibble | bits << 4;
    };
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned s0 = get(i, Format::kScales, Format::kScalesHigh);
        const unsigned s4 = get(4 + i, Format::kScales, Format::kScalesHigh);
        const unsigned m0 = get(i, Format::kMins, Format::kMinsHigh);
        const unsigned m4 = get(4 + i, Format::kMins, Format::kMinsHigh);
        out[i] = static_cast<uint8_t>(s0 | (s4 >> 4) << 6);
        out[4 + i] = static_cast<uint8_t>(m0 | (m4 >> 4) << 6);
        out[8 + i] = static_cast<uint8_t>((s4 & 15) | (m4 & 15) << 4);
    }
}

// f16 d | f16 dmin | 12 bytes of scales | 128 bytes of nibbles
struct Q4K {
    using Format = PackedQ4K;
    static constexpr WeightType kType = kQ4_K;
    static constexpr uint64_t kElements = 256, kBytes = 144;
    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t) {
        pack_nibbles(b + 16, out, lane);
        pack_scales<Format>(b + 4, out, lane);
        std::memcpy(out + Format::kD + 2 * lane, b, 2);
        std::memcpy(out + Format::kDmin + 2 * lane, b + 2, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t) {
        unpack_nibbles(in, b + 16, lane);
        unpack_scales<Format>(in, b + 4, lane);
        std::memcpy(b, in + Format::kD + 2 * lane, 2);
        std::memcpy(b + 2, in + Format::kDmin + 2 * lane, 2);
    }
};

// 128 bytes of low 4 bits | 64 bytes of high 2 bits | 16 scales | f16 d. In each half of 128 elements,
// elements 32 j + i (j < 4) take nibble j / 2 of low byte 32 (j % 2) + i and bits 2 j of high byte i.
struct Q6K {
    using Format = PackedQ6K;
    static constexpr WeightType kType = kQ6_K;
    static constexpr uint64_t kElements = 256, kBytes = 210;
    static constexpr uint64_t kCrumbs = 0x0303030303030303;

    // Where the 8 elements from 128 h + 32 j + 8 i on are: lines of nibbles and crumbs, the first of two
    // quads of the latter.
    struct Place {
        uint64_t nibbles, crumbs;
        unsigned quad;
    };
    static Place place(unsigned h, unsigned j, unsigned i, unsigned lane) {
        const unsigned eights = 16 * h + 4 * j + i;
        return {64 * eights + 4 * lane, Format::kCrumbs + 64 * (eights / 2) + 4 * lane,
                eights % 2 * 2};
    }
    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t) {
        for (unsigned s = 0; s < 16; ++s)
            store4(out + Format::kCrumbs + 64 * s + 4 * lane, 0);
        for (unsigned h = 0; h < 2; ++h)
            for (unsigned j = 0; j < 4; ++j)
                for (unsigned i = 0; i < 4; ++i) {
                    const uint64_t low = load8(b + 64 * h + 32 * (j % 2) + 8 * i);
                    const uint64_t high = load8(b + 128 + 32 * h + 8 * i) >> 2 * j & kCrumbs;
                    const Place at = place(h, j, i, lane);
                    store4(out + at.nibbles, quad_of(low >> 4 * (j / 2) & kLowNibbles));
                    const uint32_t crumbs =
                        static_cast<uint32_t>(high) | static_cast<uint32_t>(high >> 32) << 2;
                    store4(out + at.crumbs, load4(out + at.crumbs) | crumbs << 2 * at.quad);
                }
        for (unsigned s = 0; s < 16; ++s)
            out[Format::kScales + 16 * s + lane] = b[192 + s];
        std::memcpy(out + Format::kD + 2 * lane, b + 208, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t) {
        std::memset(b, 0, 192);
        for (unsigned h = 0; h < 2; ++h)
            for (unsigned j = 0; j < 4; ++j)
                for (unsigned i = 0; i < 4; ++i) {
                    const Place at = place(h, j, i, lane);
                    uint8_t *low = b + 64 * h + 32 * (j % 2) + 8 * i;
                    uint8_t *high = b + 128 + 32 * h + 8 * i;
                    store8(low, load8(low) | elements_of(load4(in + at.nibbles)) << 4 * (j / 2));
                    const uint32_t crumbs = load4(in + at.crumbs) >> 2 * at.quad;
                    const uint64_t eight = (crumbs & 0x03030303u) |
                                           static_cast<uint64_t>(crumbs >> 2 & 0x03030303u) << 32;
                    store8(high, load8(high) | eight << 2 * j);
                }
        for (unsigned s = 0; s < 16; ++s)
            b[192 + s] = in[Format::kScales + 16 * s + lane];
        std::memcpy(b + 208, in + Format::kD + 2 * lane, 2);
    }
};

// f16 d | 32 bytes
struct Q80 {
    using Format = PackedQ8;
    static constexpr WeightType kType = kQ8_0;
    static constexpr uint64_t kElements = 32, kBytes = 34;
    static constexpr uint32_t kFlip = 0x80808080u; // adds 128 to each byte
    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t half) {
        for (unsigned q = 0; q < 8; ++q)
            store4(out + half * Format::kBlock + 64 * q + 4 * lane, load4(b + 2 + 4 * q) ^ kFlip);
        std::memcpy(out + Format::kD + 32 * half + 2 * lane, b, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t half) {
        for (unsigned q = 0; q < 8; ++q)
            store4(b + 2 + 4 * q, load4(in + half * Format::kBlock + 64 * q + 4 * lane) ^ kFlip);
        std::memcpy(b, in + Format::kD + 32 * half + 2 * lane, 2);
    }
};

// f16 d | 16 bytes: element i in the low nibble of byte i, element 16 + i in the high one
struct Q40 {
    using Format = PackedQ4;
    static constexpr WeightType kType = kQ4_0;
    static constexpr uint64_t kElements = 32, kBytes = 18;
    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t half) {
        for (unsigned j = 0; j < 2; ++j) {
            const uint64_t raw = load8(b + 2 + 8 * j);
            uint8_t *line = out + half * Format::kBlock + 64 * j + 4 * lane;
            store4(line, quad_of(raw & kLowNibbles));
            store4(line + 2 * 64, quad_of(raw >> 4 & kLowNibbles));
        }
        std::memcpy(out + Format::kD + 32 * half + 2 * lane, b, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t half) {
        for (unsigned j = 0; j < 2; ++j) {
            const uint8_t *line = in + half * Format::kBlock + 64 * j + 4 * lane;
            store8(b + 2 + 8 * j, elements_of(load4(line)) | elements_of(load4(line + 2 * 64))
                                                                 << 4);
        }
        std::memcpy(b, in + Format::kD + 32 * half + 2 * lane, 2);
    }
};

// Blocks [begin, end) of a row.
template <class T>
void pack(const uint8_t *row, uint8_t *group, unsigned lane, uint64_t begin, uint64_t end) {
    constexpr uint64_t per_block = T::Format::kElements / T::kElements;
    for (uint64_t b = begin; b < end; ++b)
        T::pack(row + b * T::kBytes, group + b / per_block * T::Format::kBytes, lane,
                b % per_block);
}
template <class T>
void unpack(const uint8_t *group, uint8_t *row, unsigned lane, uint64_t k) {
    constexpr uint64_t per_block = T::Format::kElements / T::kElements;
    for (uint64_t b = 0; b < k / T::kElements; ++b)
        T::unpack(group + b / per_block * T::Format::kBytes, row + b * T::kBytes, lane,
                  b % per_block);
}

template <class T>
constexpr PackedLayout row_of() {
    return {T::kType, T::kElements, T::kBytes, packed_group_bytes<typename T::Format>,
            pack<T>,  unpack<T>};
}
constexpr PackedLayout kLayouts[] = {row_of<Q80>(), row_of<Q40>(), row_of<Q4K>(), row_of<Q6K>()};

} // namespace

const PackedLayout *packed_layout(WeightType type) {
    const auto found = std::find_if(std::begin(kLayouts), std::end(kLayouts),
                                    [&](const PackedLayout &l) { return l.type == type; });
    return found == std::end(kLayouts) ? nullptr : found;
}

void pack_rows(const PackedLayout &layout, const uint8_t *rows, uint64_t row_begin, uint64_t count,
               uint64_t k, uint8_t *packed) {
    // All rows of a group for a few blocks at a time: what is written stays in the nearest cache.
    constexpr uint64_t kAtOnce = 4;
    const uint64_t blocks = k / layout.block_elements, stride = blocks * layout.block_bytes;
    const uint64_t group_bytes = layout.group_bytes(k);
    for (uint64_t first = row_begin; first < row_begin + count;) {
        const uint64_t group = first / kPackedRows;
        const uint64_t last = std::min((group + 1) * kPackedRows, row_begin + count);
        for (uint64_t b = 0; b < blocks; b += kAtOnce)
            for (uint64_t r = first; r < last; ++r)
                layout.pack(rows + (r - row_begin) * stride, packed + group * group_bytes,
                            static_cast<unsigned>(r % kPackedRows), b,
                            std::min(b + kAtOnce, blocks));
        first = last;
    }
}

void unpack_row(const PackedLayout &layout, const uint8_t *packed, uint64_t row, uint64_t k,
                uint8_t *out) {
    layout.unpack(packed + row / kPackedRows * layout.group_bytes(k), out,
                  static_cast<unsigned>(row % kPackedRows), k);
}

} // namespace realizar::cpu
