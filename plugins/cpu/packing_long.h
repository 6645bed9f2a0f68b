// Packing of types with blocks of 256: how a canonical block becomes lane `lane` of a packed one, and back.
#pragma once

#include "plugins/cpu/kernels/kernels.h"
#include "plugins/cpu/kernels/packed_format.h"
#include "plugins/cpu/packing_bits.h"

namespace realizar::cpu::packing {

// f16 d | f16 dmin | 12 bytes of scales | Q5_K: 32 bytes, bit j of byte i is the fifth bit of element i of
// group j of 32 | 128 bytes: 32 hold group 2 p in their low and group 2 p + 1 in their high halves
template <WeightType TYPE, class F, bool FIFTH>
struct MinBlock {
    using Format = F;
    static constexpr WeightType kType = TYPE;
    static constexpr uint64_t kElements = 256, kNibbles = FIFTH ? 48 : 16, kBytes = kNibbles + 128;

    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t) {
        for (unsigned p = 0; p < 4; ++p)
            for (unsigned j = 0; j < 4; ++j) {
                const uint64_t raw = load8(b + kNibbles + 32 * p + 8 * j);
                put_nibbles(out, 8 * p + j, lane, raw & kLowNibbles);
                put_nibbles(out, 8 * p + 4 + j, lane, raw >> 4 & kLowNibbles);
            }
        for (unsigned g = 0; FIFTH && g < 8; ++g) {
            uint64_t fifth[4];
            for (unsigned e = 0; e < 4; ++e)
                fifth[e] = load8(b + 16 + 8 * e) >> g & kBits;
            put_thin<1>(out + Format::kBits, 4 * g, lane, fifth);
        }
        pack_scales(b + 4, out, lane);
        std::memcpy(out + Format::kD + 2 * lane, b, 2);
        std::memcpy(out + Format::kDmin + 2 * lane, b + 2, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t) {
        for (unsigned p = 0; p < 4; ++p)
            for (unsigned j = 0; j < 4; ++j)
                store8(b + kNibbles + 32 * p + 8 * j,
                       get_nibbles(in, 8 * p + j, lane) | get_nibbles(in, 8 * p + 4 + j, lane)
                                                              << 4);
        for (unsigned e = 0; FIFTH && e < 4; ++e) {
            uint64_t bytes = 0;
            for (unsigned g = 0; g < 8; ++g)
                bytes |= get_thin<1>(in + Format::kBits, 4 * g + e, lane) << g;
            store8(b + 16 + 8 * e, bytes);
        }
        unpack_scales(in, b + 4, lane);
        std::memcpy(b, in + Format::kD + 2 * lane, 2);
        std::memcpy(b + 2, in + Format::kDmin + 2 * lane, 2);
    }

  private:
    // 4 bytes with the low bits of scales 0..3, 4 of mins 0..3, 4 with the low nibbles of scales and mins
    // 4..7, whose high bits are on top of the first eight.
    static void pack_scales(const uint8_t *source, uint8_t *out, unsigned lane) {
        uint8_t scales[8], mins[8];
        for (unsigned i = 0; i < 4; ++i) {
            scales[i] = source[i] & 63;
            mins[i] = source[4 + i] & 63;
            scales[4 + i] = static_cast<uint8_t>((source[8 + i] & 15) | (source[i] >> 6) << 4);
            mins[4 + i] = static_cast<uint8_t>(source[8 + i] >> 4 | (source[4 + i] >> 6) << 4);
        }
        put_six(scales, 8, out + Format::kScales, out + Format::kScalesHigh, lane);
        put_six(mins, 8, out + Format::kMins, out + Format::kMinsHigh, lane);
    }
    static void unpack_scales(const uint8_t *in, uint8_t *out, unsigned lane) {
        uint8_t scales[8], mins[8];
        get_six(in + Format::kScales, in + Format::kScalesHigh, 8, lane, scales);
        get_six(in + Format::kMins, in + Format::kMinsHigh, 8, lane, mins);
        for (unsigned i = 0; i < 4; ++i) {
            out[i] = static_cast<uint8_t>(scales[i] | (scales[4 + i] >> 4) << 6);
            out[4 + i] = static_cast<uint8_t>(mins[i] | (mins[4 + i] >> 4) << 6);
            out[8 + i] = static_cast<uint8_t>((scales[4 + i] & 15) | (mins[4 + i] & 15) << 4);
        }
    }
};
using Q4K = MinBlock<kQ4_K, PackedQ4K, false>;
using Q5K = MinBlock<kQ5_K, PackedQ5K, true>;

// 128 bytes of low 4 bits | 64 bytes of high 2 bits | 16 scales | f16 d. In each half of 128 elements,
// elements 32 j + i (j < 4) take nibble j / 2 of low byte 32 (j % 2) + i and bits 2 j of high byte i.
struct Q6K {
    using Format = PackedQ6K;
    static constexpr WeightType kType = kQ6_K;
    static constexpr uint64_t kElements = 256, kBytes = 210;

    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t) {
        for (unsigned g = 0; g < 8; ++g) { // of 32 elements
            const unsigned h = g / 4, j = g % 4;
            uint64_t high[4];
            for (unsigned i = 0; i < 4; ++i) {
                const uint64_t low = load8(b + 64 * h + 32 * (j % 2) + 8 * i);
                put_nibbles(out, 4 * g + i, lane, low >> 4 * (j / 2) & kLowNibbles);
                high[i] = load8(b + 128 + 32 * h + 8 * i) >> 2 * j & kCrumbs;
            }
            put_thin<2>(out + Format::kCrumbs, 4 * g, lane, high);
        }
        for (unsigned s = 0; s < 16; ++s)
            out[Format::kScales + 16 * s + lane] = b[192 + s];
        std::memcpy(out + Format::kD + 2 * lane, b + 208, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t) {
        std::memset(b, 0, 192);
        for (unsigned g = 0; g < 8; ++g)
            for (unsigned i = 0; i < 4; ++i) {
                const unsigned h = g / 4, j = g % 4;
                uint8_t *low = b + 64 * h + 32 * (j % 2) + 8 * i;
                uint8_t *high = b + 128 + 32 * h + 8 * i;
                store8(low, load8(low) | get_nibbles(in, 4 * g + i, lane) << 4 * (j / 2));
                store8(high, load8(high) | get_thin<2>(in + Format::kCrumbs, 4 * g + i, lane)
                                               << 2 * j);
            }
        for (unsigned s = 0; s < 16; ++s)
            b[192 + s] = in[Format::kScales + 16 * s + lane];
        std::memcpy(b + 208, in + Format::kD + 2 * lane, 2);
    }
};

// 32 bytes of third bits | 64 bytes of pairs | 12 bytes with 16 scales of 6 bits | f16 d. Element i of
// group j of 32 takes bits 2 (j % 4) of byte 32 (j / 4) + i, and bit j of byte i of the third bits.
struct Q3K {
    using Format = PackedQ3K;
    static constexpr WeightType kType = kQ3_K;
    static constexpr uint64_t kElements = 256, kBytes = 110;

    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t) {
        for (unsigned g = 0; g < 8; ++g) {
            uint64_t low[4], third[4];
            for (unsigned e = 0; e < 4; ++e) {
                low[e] = load8(b + 32 + 32 * (g / 4) + 8 * e) >> 2 * (g % 4) & kCrumbs;
                third[e] = load8(b + 8 * e) >> g & kBits;
            }
            put_thin<2>(out, 4 * g, lane, low);
            put_thin<1>(out + Format::kBits, 4 * g, lane, third);
        }
        const uint8_t *packed = b + 96;
        uint8_t scales[16];
        for (unsigned j = 0; j < 16; ++j)
            scales[j] = static_cast<uint8_t>((packed[j % 8] >> (j / 8 * 4) & 15) |
                                             (packed[8 + j % 4] >> (j / 4 * 2) & 3) << 4);
        put_six(scales, 16, out + Format::kScales, out + Format::kScalesHigh, lane);
        std::memcpy(out + Format::kD + 2 * lane, b + 108, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t) {
        std::memset(b, 0, 108);
        for (unsigned g = 0; g < 8; ++g)
            for (unsigned e = 0; e < 4; ++e) {
                uint8_t *low = b + 32 + 32 * (g / 4) + 8 * e, *third = b + 8 * e;
                store8(low, load8(low) | get_thin<2>(in, 4 * g + e, lane) << 2 * (g % 4));
                store8(third, load8(third) | get_thin<1>(in + Format::kBits, 4 * g + e, lane) << g);
            }
        uint8_t scales[16];
        get_six(in + Format::kScales, in + Format::kScalesHigh, 16, lane, scales);
        for (unsigned j = 0; j < 16; ++j) {
            uint8_t &low = b[96 + j % 8], &high = b[104 + j % 4];
            low = static_cast<uint8_t>(low | (scales[j] & 15) << (j / 8 * 4));
            high = static_cast<uint8_t>(high | (scales[j] >> 4) << (j / 4 * 2));
        }
        std::memcpy(b + 108, in + Format::kD + 2 * lane, 2);
    }
};

// f16 d | 8 upper pairs of scales | 8 lower nibbles | 8 x 16 bytes: element i of a group of 32 in the low
// nibble of byte i, element 16 + i in the high one
struct IQ4XS {
    using Format = PackedIQ4XS;
    static constexpr WeightType kType = kIQ4_XS;
    static constexpr uint64_t kElements = 256, kBytes = 136;

    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t) {
        for (unsigned g = 0; g < 8; ++g)
            for (unsigned j = 0; j < 2; ++j) {
                const uint64_t raw = load8(b + 8 + 16 * g + 8 * j);
                put_nibbles(out, 4 * g + j, lane, raw & kLowNibbles);
                put_nibbles(out, 4 * g + 2 + j, lane, raw >> 4 & kLowNibbles);
            }
        // Scales lie as they do in the packed form.
        for (unsigned p = 0; p < 4; ++p)
            out[Format::kScales + 16 * p + lane] = b[4 + p];
        for (unsigned j = 0; j < 2; ++j)
            out[Format::kScalesHigh + 16 * j + lane] = b[2 + j];
        std::memcpy(out + Format::kD + 2 * lane, b, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t) {
        for (unsigned g = 0; g < 8; ++g)
            for (unsigned j = 0; j < 2; ++j)
                store8(b + 8 + 16 * g + 8 * j, get_nibbles(in, 4 * g + j, lane) |
                                                   get_nibbles(in, 4 * g + 2 + j, lane) << 4);
        for (unsigned p = 0; p < 4; ++p)
            b[4 + p] = in[Format::kScales + 16 * p + lane];
        for (unsigned j = 0; j < 2; ++j)
            b[2 + j] = in[Format::kScalesHigh + 16 * j + lane];
        std::memcpy(b, in + Format::kD + 2 * lane, 2);
    }
};

} // namespace realizar::cpu::packing
