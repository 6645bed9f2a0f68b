// Packed weights: groups of kPackedRows = 16 rows, interleaved so that the lanes of a vector are rows.
// A line is 64 bytes: for each of the 16 rows the 4 bytes that one dot4 takes, a quad. A vector of any
// width takes its rows from a line, so all instruction sets share the layout. Scales keep the bits of the
// canonical types, nothing is rounded, and a block of 16 rows starts at a whole line. Offsets in bytes.
//
// The parts that blocks are made of, in the order of quads:
//   nibbles: two quads in a line, the first in the low halves of its bytes: 4 bits of each element
//   crumbs:  four quads in a line, quad i in bits 2 i and 2 i + 1 of each byte
//   bits:    eight quads in a line, quad i in bit i of each byte
// and, for each row a byte or half a word, 16 of them in a row:
//   fours: byte p of a row has 4 bits of number 2 p, and above them those of number 2 p + 1
//   twos:  byte j of a row has 2 bits of each of the numbers 4 j to 4 j + 3, from the lowest on
#pragma once

#include <stdint.h>

namespace realizar::cpu {

// Q4_K and Q5_K: 16 rows x 256 elements: nibbles, the fifth bits of Q5_K, then 8 scales and 8 mins of 6
// bits: scales fours[4], mins fours[4], scales twos[2], mins twos[2]; d and dmin f16.
template <uint64_t kBitLines>
struct PackedMinFormat {
    static constexpr uint64_t kElements = 256;
    static constexpr uint64_t kBits = 2048;
    static constexpr uint64_t kScales = kBits + 64 * kBitLines;
    static constexpr uint64_t kMins = kScales + 64;
    static constexpr uint64_t kScalesHigh = kMins + 64;
    static constexpr uint64_t kMinsHigh = kScalesHigh + 32;
    static constexpr uint64_t kD = kMinsHigh + 32;
    static constexpr uint64_t kDmin = kD + 32;
    static constexpr uint64_t kBytes = kDmin + 32;
};
using PackedQ4K = PackedMinFormat<0>;
using PackedQ5K = PackedMinFormat<8>;

// Q6_K: 16 rows x 256 elements: nibbles with the low 4 bits, crumbs with the others, i8 scales[16], f16 d;
// 32 unused bytes.
struct PackedQ6K {
    static constexpr uint64_t kElements = 256;
    static constexpr uint64_t kCrumbs = 2048;
    static constexpr uint64_t kScales = 3072;
    static constexpr uint64_t kD = 3328;
    static constexpr uint64_t kBytes = 3392;
};

// Q3_K: 16 rows x 256 elements: crumbs, bits with the third ones, 16 scales of 6 bits: fours[8], twos[4];
// f16 d; 32 unused bytes.
struct PackedQ3K {
    static constexpr uint64_t kElements = 256;
    static constexpr uint64_t kBits = 1024;
    static constexpr uint64_t kScales = 1536;
    static constexpr uint64_t kScalesHigh = kScales + 128;
    static constexpr uint64_t kD = kScalesHigh + 64;
    static constexpr uint64_t kBytes = kD + 64;
};

// IQ4_XS: 16 rows x 256 elements: nibbles, 8 scales of 6 bits: fours[4], twos[2]; f16 d.
struct PackedIQ4XS {
    static constexpr uint64_t kElements = 256;
    static constexpr uint64_t kScales = 2048;
    static constexpr uint64_t kScalesHigh = kScales + 64;
    static constexpr uint64_t kD = kScalesHigh + 32;
    static constexpr uint64_t kBytes = kD + 32;
};

// Types with blocks of 32: kBlocks of them, so that they fill whole lines; the last one of a row may have
// fewer. First the lines of each, with nibbles and then bits, or bytes (Q8_0, plus 128); behind them the
// ends of each, 16 rows after one another: f16 d, f16 m; the exponents of MXFP4.
template <uint64_t kLines, uint64_t kEndBytes, uint64_t kBlocks>
struct PackedShortFormat {
    static constexpr uint64_t kElements = 32 * kBlocks;
    static constexpr uint64_t kBlock = 64 * kLines;
    static constexpr uint64_t kEnd = kEndBytes;
    static constexpr uint64_t kEnds = kBlocks * kBlock; // where they begin
    static constexpr uint64_t kBytes = kEnds + kBlocks * kEnd;
    static_assert(kBytes % 64 == 0);
};
using PackedQ8 = PackedShortFormat<8, 32, 2>;
using PackedQ4 = PackedShortFormat<4, 32, 2>; // IQ4_NL as well
using PackedQ41 = PackedShortFormat<4, 64, 1>;
using PackedQ5 = PackedShortFormat<5, 32, 2>;
using PackedQ51 = PackedShortFormat<5, 64, 1>;
using PackedMXFP4 = PackedShortFormat<4, 16, 4>;

// F16 and BF16: 16 rows x 2 elements: one element of each row, then the next one.
struct PackedHalves {
    static constexpr uint64_t kElements = 2;
    static constexpr uint64_t kBytes = 64;
};

// Bytes of one group of 16 rows of k elements.
template <class Format>
constexpr uint64_t packed_group_bytes(uint64_t k) {
    return (k + Format::kElements - 1) / Format::kElements * Format::kBytes;
}

} // namespace realizar::cpu
