// Packing of types with blocks of 32: how a canonical block becomes lane `lane` of block `block` of a packed
// group of blocks, and back.
#pragma once

#include "plugins/cpu/kernels/kernels.h"
#include "plugins/cpu/kernels/packed_format.h"
#include "plugins/cpu/packing_bits.h"

namespace realizar::cpu::packing {

// f16 d | 32 bytes
struct Q80 {
    using Format = PackedQ8;
    static constexpr WeightType kType = kQ8_0;
    static constexpr uint64_t kElements = 32, kBytes = 34;
    static constexpr uint32_t kFlip = 0x80808080u; // adds 128 to each byte

    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t block) {
        for (unsigned q = 0; q < 8; ++q)
            store4(out + block * Format::kBlock + 64 * q + 4 * lane, load4(b + 2 + 4 * q) ^ kFlip);
        std::memcpy(out + Format::kEnds + block * Format::kEnd + 2 * lane, b, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t block) {
        for (unsigned q = 0; q < 8; ++q)
            store4(b + 2 + 4 * q, load4(in + block * Format::kBlock + 64 * q + 4 * lane) ^ kFlip);
        std::memcpy(b, in + Format::kEnds + block * Format::kEnd + 2 * lane, 2);
    }
};

// ENDS scales and mins of END_BYTES each | FIFTH: 32 fifth bits | 16 bytes: element i in the low nibble of
// byte i, element 16 + i in the high one
template <WeightType TYPE, class F, unsigned ENDS, unsigned END_BYTES, bool FIFTH>
struct NibbleBlock {
    using Format = F;
    static constexpr WeightType kType = TYPE;
    static constexpr uint64_t kFifth = ENDS * END_BYTES, kNibbles = kFifth + (FIFTH ? 4 : 0);
    static constexpr uint64_t kElements = 32, kBytes = kNibbles + 16;

    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t block) {
        uint8_t *lines = out + block * Format::kBlock;
        for (unsigned j = 0; j < 2; ++j) {
            const uint64_t raw = load8(b + kNibbles + 8 * j);
            put_nibbles(lines, j, lane, raw & kLowNibbles);
            put_nibbles(lines, 2 + j, lane, raw >> 4 & kLowNibbles);
        }
        if constexpr (FIFTH) {
            const uint64_t fifth[4] = {spread_bits(b[kFifth]), spread_bits(b[kFifth + 1]),
                                       spread_bits(b[kFifth + 2]), spread_bits(b[kFifth + 3])};
            put_thin<1>(lines + 4 * 64, 0, lane, fifth);
        }
        for (unsigned e = 0; e < ENDS; ++e)
            std::memcpy(end_of(out, block, e, lane), b + END_BYTES * e, END_BYTES);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t block) {
        const uint8_t *lines = in + block * Format::kBlock;
        for (unsigned j = 0; j < 2; ++j)
            store8(b + kNibbles + 8 * j,
                   get_nibbles(lines, j, lane) | get_nibbles(lines, 2 + j, lane) << 4);
        for (unsigned e = 0; FIFTH && e < 4; ++e)
            b[kFifth + e] = static_cast<uint8_t>(gather_bits(get_thin<1>(lines + 4 * 64, e, lane)));
        for (unsigned e = 0; e < ENDS; ++e)
            std::memcpy(b + END_BYTES * e, end_of(in, block, e, lane), END_BYTES);
    }

  private:
    template <class Byte>
    static Byte *end_of(Byte *packed, uint64_t block, unsigned e, unsigned lane) {
        return packed + Format::kEnds + block * Format::kEnd + (16 * e + lane) * END_BYTES;
    }
};
using Q40 = NibbleBlock<kQ4_0, PackedQ4, 1, 2, false>;
using Q41 = NibbleBlock<kQ4_1, PackedQ41, 2, 2, false>;
using Q50 = NibbleBlock<kQ5_0, PackedQ5, 1, 2, true>;
using Q51 = NibbleBlock<kQ5_1, PackedQ51, 2, 2, true>;
using IQ4NL = NibbleBlock<kIQ4_NL, PackedQ4, 1, 2, false>;
using MXFP4 = NibbleBlock<kMXFP4, PackedMXFP4, 1, 1, false>;

} // namespace realizar::cpu::packing
