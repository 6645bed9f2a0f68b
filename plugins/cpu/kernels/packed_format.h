// Packed weights: groups of kPackedRows = 16 rows, interleaved so that the lanes of a vector are rows.
// A line is 64 bytes: for each of the 16 rows the 4 bytes that one dot4 takes. A vector of any width
// takes its rows from a line, so all instruction sets share the layout. Scales keep the bits of the
// canonical types, nothing is rounded, and a block of 16 rows starts at a whole line. Offsets in bytes.
#pragma once

#include <stdint.h>

namespace realizar::cpu {

// Q4_K: 16 rows x 256 elements.
//   nibbles: line 4 g + j, byte i of a row: element 32 g + 8 j + i low, 32 g + 8 j + 4 + i high
//   then for each row a byte, 16 bytes in a row:
//   scales: [4] low 4 bits of group 2 p, high 4 bits those of group 2 p + 1; mins: [4] alike
//   scales_high: [2] bits 2 i and 2 i + 1: bits 4 and 5 of group 4 j + i; mins_high: [2] alike
//   d, dmin: f16
struct PackedQ4K {
    static constexpr uint64_t kElements = 256;
    static constexpr uint64_t kScales = 2048;
    static constexpr uint64_t kMins = kScales + 64;
    static constexpr uint64_t kScalesHigh = kMins + 64;
    static constexpr uint64_t kMinsHigh = kScalesHigh + 32;
    static constexpr uint64_t kD = kMinsHigh + 32;
    static constexpr uint64_t kDmin = kD + 32;
    static constexpr uint64_t kBytes = kDmin + 32;
};

// Q6_K: 16 rows x 256 elements.
//   nibbles: as above, the low 4 bits
//   crumbs: line s, byte i of a row: bits 2 q and 2 q + 1 are the high bits of element 16 s + 4 q + i
//   scales: [16] i8 of each row
//   d: f16; 32 unused bytes
struct PackedQ6K {
    static constexpr uint64_t kElements = 256;
    static constexpr uint64_t kCrumbs = 2048;
    static constexpr uint64_t kScales = 3072;
    static constexpr uint64_t kD = 3328;
    static constexpr uint64_t kBytes = 3392;
};

// Q8_0 and Q4_0: 16 rows x 64 elements, two blocks; the last one of a row may have only the first.
//   Q8_0: line 8 b + q, byte i of a row: element 32 b + 4 q + i, plus 128
//   Q4_0: line 4 b + j, byte i of a row: element 32 b + 8 j + i low, 32 b + 8 j + 4 + i high
//   d: [2] f16
template <uint64_t kBlockLines>
struct PackedPairFormat {
    static constexpr uint64_t kElements = 64;
    static constexpr uint64_t kBlock = 64 * kBlockLines;
    static constexpr uint64_t kD = 2 * kBlock;
    static constexpr uint64_t kBytes = kD + 64;
};
using PackedQ8 = PackedPairFormat<8>;
using PackedQ4 = PackedPairFormat<4>;

// Bytes of one group of 16 rows of k elements.
template <class Format>
constexpr uint64_t packed_group_bytes(uint64_t k) {
    return (k + Format::kElements - 1) / Format::kElements * Format::kBytes;
}

} // namespace realizar::cpu
