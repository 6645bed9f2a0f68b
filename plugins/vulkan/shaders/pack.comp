// Rows of canonical blocks -> planes (include/types/*.glsl). A thread packs one group of 32, so that
// all planes of a superblock are written by eight threads. The blocks themselves: core/quant.
#version 460
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { PackParams p; };

// Number i of a block in units of 2 bytes, and byte i.
uint unit_of(uint64_t block, uint i) { return uint(U16(block).v[i]); }
uint byte_of(uint64_t block, uint i) {
    const uint64_t at = block + i; // blocks of an odd size begin at any byte
    return (uint(U16(at & ~uint64_t(1)).v[0]) >> (8 * uint(at & 1))) & 255;
}

// To plane `plane`, where each group has `units` units: unit i of the group.
void put(uint plane, uint64_t g, uint units, uint i, uint value) {
    U16(p.plane[plane] + g * units * 2).v[i] = uint16_t(value);
}
// Units that lie together in the block.
void copy(uint64_t block, uint first, uint plane, uint64_t g, uint units) {
    for (uint i = 0; i < units; ++i)
        put(plane, g, units, i, unit_of(block, first + i));
}
// Nibbles from 32 bytes, of which they are the bits from `shift` on, to plane 0.
void join_nibbles(uint64_t block, uint first, uint shift, uint64_t g) {
    for (uint i = 0; i < 8; ++i) {
        const uint low = (unit_of(block, first + i) >> shift) & 0x0f0fu;
        const uint high = (unit_of(block, first + 8 + i) >> shift) & 0x0f0fu;
        put(0, g, 8, i, low | (high << 4));
    }
}
// Pairs of bits from 32 bytes, of which they are the bits from `shift` on: 8 bytes for a group.
void join_pairs(uint64_t block, uint first, uint shift, uint plane, uint64_t g) {
    uint words[2] = uint[2](0, 0);
    for (uint i = 0; i < 16; ++i) { // two elements
        const uint bits = (unit_of(block, first + i) >> shift) & 0x0303u;
        // Elements 2i and 2i + 1: half i / 8, part i / 2 mod 4, bytes 2(i mod 2) and the next.
        words[i / 8] |= bits << (2 * (i / 2 % 4) + 16 * (i % 2));
    }
    U32(p.plane[plane] + g * 8).v[0] = words[0];
    U32(p.plane[plane] + g * 8).v[1] = words[1];
}
// Single bits, bit e of element e, as in types/fifth.glsl.
void put_bits(uint plane, uint64_t g, uint bits) {
    uint word = 0;
    for (uint e = 0; e < 32; ++e)
        word |= bitfieldExtract(bits, int(e), 1) << (8 * (e % 4) + e / 4);
    U32(p.plane[plane] + g * 4).v[0] = word;
}
// Bit `shift` of 32 bytes.
uint gather_bits(uint64_t block, uint first, uint shift) {
    uint bits = 0;
    for (uint i = 0; i < 16; ++i) {
        const uint both = unit_of(block, first + i) >> shift;
        bits |= ((both & 1) | (both >> 7 & 2)) << (2 * i);
    }
    return bits;
}
uint word_of(uint64_t block, uint i) { return unit_of(block, i) | unit_of(block, i + 1) << 16; }

// For each type: groups of a block, its size in units, their size if not 2 bytes; group j of a block.
#if defined(TYPE_Q4_0) || defined(TYPE_IQ4_NL) // d, nibbles
const uint kGroups = 1, kUnits = 9;
void pack(uint64_t block, uint64_t g, uint j) {
    copy(block, 0, 1, g, 1);
    copy(block, 1, 0, g, 8);
}
#elif defined(TYPE_Q4_1) // d, m, nibbles
const uint kGroups = 1, kUnits = 10;
void pack(uint64_t block, uint64_t g, uint j) {
    copy(block, 0, 1, g, 2);
    copy(block, 2, 0, g, 8);
}
#elif defined(TYPE_Q5_0) // d, fifth bits, nibbles
const uint kGroups = 1, kUnits = 11;
void pack(uint64_t block, uint64_t g, uint j) {
    copy(block, 0, 2, g, 1);
    put_bits(1, g, word_of(block, 1));
    copy(block, 3, 0, g, 8);
}
#elif defined(TYPE_Q5_1) // d, m, fifth bits, nibbles
const uint kGroups = 1, kUnits = 12;
void pack(uint64_t block, uint64_t g, uint j) {
    copy(block, 0, 2, g, 2);
    put_bits(1, g, word_of(block, 2));
    copy(block, 4, 0, g, 8);
}
#elif defined(TYPE_Q8_0) // d, bytes
const uint kGroups = 1, kUnits = 17;
void pack(uint64_t block, uint64_t g, uint j) {
    copy(block, 0, 1, g, 1);
    copy(block, 1, 0, g, 16);
}
#elif defined(TYPE_MXFP4) // exponent, nibbles
const uint kGroups = 1, kUnits = 17;
#define UNIT_BYTES 1
void pack(uint64_t block, uint64_t g, uint j) {
    put(1, g, 1, 0, byte_of(block, 0));
    for (uint i = 0; i < 8; ++i)
        put(0, g, 8, i, byte_of(block, 1 + 2 * i) | byte_of(block, 2 + 2 * i) << 8);
}
#elif defined(TYPE_Q4_K)
// 16 bytes of header, then for each pair of groups 32 bytes: the first in the low nibbles.
const uint kGroups = 8, kUnits = 72;
void pack(uint64_t block, uint64_t g, uint j) {
    put(1, g, 1, 0, unit_of(block, j)); // the group's share of the header
    join_nibbles(block, 8 + 16 * (j / 2), 4 * (j % 2), g);
}
#elif defined(TYPE_Q5_K)
// The same header, then 32 bytes whose bits j are the fifth bits of group j, then nibbles as in Q4_K.
const uint kGroups = 8, kUnits = 88;
void pack(uint64_t block, uint64_t g, uint j) {
    put(2, g, 1, 0, unit_of(block, j));
    put_bits(1, g, gather_bits(block, 8, j));
    join_nibbles(block, 24 + 16 * (j / 2), 4 * (j % 2), g);
}
#elif defined(TYPE_Q6_K)
// 128 bytes of low nibbles, 64 of upper bits, 16 scales, d. Half h of the block, group k of 4 in it:
// nibbles in byte 64h + 32(k mod 2) + i, shifted by 4(k / 2); upper bits in 32h + i, by 2k.
const uint kGroups = 8, kUnits = 105;
void pack(uint64_t block, uint64_t g, uint j) {
    const uint h = j / 4, k = j % 4;
    join_nibbles(block, 32 * h + 16 * (k % 2), 4 * (k / 2), g);
    join_pairs(block, 64 + 16 * h, 2 * k, 1, g);
    put(2, g, 1, 0, unit_of(block, 96 + j));
    if (j == 0) put(3, g / 8, 1, 0, unit_of(block, 104));
}
#elif defined(TYPE_Q2_K) // 16 bytes of scales and minima, 64 of pairs as in Q6_K, d, dmin
const uint kGroups = 8, kUnits = 42;
void pack(uint64_t block, uint64_t g, uint j) {
    join_pairs(block, 8 + 16 * (j / 4), 2 * (j % 4), 0, g);
    put(1, g, 1, 0, unit_of(block, j));
    if (j == 0) copy(block, 40, 2, g / 8, 2);
}
#elif defined(TYPE_Q3_K)
// 32 bytes whose bits j are the third bits of group j, 64 of pairs as in Q6_K, 12 of scales, d. The lower
// nibbles of the 16 scales: the first eight in the low nibbles of bytes 0 to 7, the others above; the
// upper pair of scale s in byte 8 + s mod 4, shifted by 2(s / 4).
const uint kGroups = 8, kUnits = 55;
uint scale(uint64_t block, uint s) {
    const uint low = byte_of(block, 96 + s % 8) >> (4 * (s / 8));
    const uint high = byte_of(block, 104 + s % 4) >> (2 * (s / 4));
    return (((low & 15) | (high & 3) << 4) - 32) & 255;
}
void pack(uint64_t block, uint64_t g, uint j) {
    join_pairs(block, 16 + 16 * (j / 4), 2 * (j % 4), 0, g);
    put_bits(1, g, gather_bits(block, 0, j));
    put(2, g, 1, 0, scale(block, 2 * j) | scale(block, 2 * j + 1) << 8);
    if (j == 0) put(3, g / 8, 1, 0, unit_of(block, 54));
}
#elif defined(TYPE_IQ4_XS)
// 8 bytes of header, then the groups' nibbles.
const uint kGroups = 8, kUnits = 68;
void pack(uint64_t block, uint64_t g, uint j) {
    if (j == 0) copy(block, 0, 1, g / 8, 4);
    copy(block, 4 + 8 * j, 0, g, 8);
}
#endif

#ifndef UNIT_BYTES
#define UNIT_BYTES 2
#endif

void main() {
    const uint width = p.blocks * kGroups, total = p.rows * width;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / width, at = i % width;
        const uint64_t units = uint64_t(row) * p.stride + uint64_t(at / kGroups) * kUnits;
        pack(p.source + units * UNIT_BYTES, uint64_t(i), at % kGroups);
    }
}
