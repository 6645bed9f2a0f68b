// Rows of canonical blocks -> planes (include/types/*.glsl). A thread packs one group of 32, so that
// all planes of a superblock are written by eight threads.
#version 460
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { PackParams p; };

#if defined(TYPE_Q4_0)
const uint kGroups = 1, kUnits = 9; // groups and 2-byte units of a block
void pack(U16 block, uint64_t g, uint j) {
    U16(p.plane[1] + g * 2).v[0] = block.v[0];
    for (uint i = 0; i < 8; ++i)
        U16(p.plane[0] + g * 16).v[i] = block.v[1 + i];
}
#elif defined(TYPE_Q8_0)
const uint kGroups = 1, kUnits = 17;
void pack(U16 block, uint64_t g, uint j) {
    U16(p.plane[1] + g * 2).v[0] = block.v[0];
    for (uint i = 0; i < 16; ++i)
        U16(p.plane[0] + g * 32).v[i] = block.v[1 + i];
}
#elif defined(TYPE_Q4_K)
const uint kGroups = 8, kUnits = 72;
// Block: 16 bytes of header, then for each pair of groups 32 bytes: the first in the low nibbles.
void pack(U16 block, uint64_t g, uint j) {
    U16(p.plane[1] + g * 2).v[0] = block.v[j]; // the group's share of the header
    const uint first = 8 + 16 * (j / 2), shift = 4 * (j % 2);
    for (uint i = 0; i < 8; ++i) {
        const uint low = (uint(block.v[first + i]) >> shift) & 0x0f0fu;
        const uint high = (uint(block.v[first + 8 + i]) >> shift) & 0x0f0fu;
        U16(p.plane[0] + g * 16).v[i] = uint16_t(low | (high << 4));
    }
}
#elif defined(TYPE_Q6_K)
const uint kGroups = 8, kUnits = 105;
// Block: 128 bytes of low nibbles, 64 of upper bits, 16 scales, d. Half h of the block, group k of 4
// in it: nibbles in byte 64h + 32(k mod 2) + i, shifted by 4(k / 2); upper bits in 32h + i, by 2k.
void pack(U16 block, uint64_t g, uint j) {
    const uint h = j / 4, k = j % 4, first = 32 * h + 16 * (k % 2), shift = 4 * (k / 2);
    for (uint i = 0; i < 8; ++i) {
        const uint low = (uint(block.v[first + i]) >> shift) & 0x0f0fu;
        const uint high = (uint(block.v[first + 8 + i]) >> shift) & 0x0f0fu;
        U16(p.plane[0] + g * 16).v[i] = uint16_t(low | (high << 4));
    }
    uint words[2] = uint[2](0, 0);
    for (uint i = 0; i < 16; ++i) { // two elements
        const uint bits = (uint(block.v[64 + 16 * h + i]) >> (2 * k)) & 0x0303u;
        // Elements 2i and 2i + 1: half i / 8, part i / 2 mod 4, bytes 2(i mod 2) and the next.
        words[i / 8] |= bits << (2 * (i / 2 % 4) + 16 * (i % 2));
    }
    U32(p.plane[1] + g * 8).v[0] = words[0];
    U32(p.plane[1] + g * 8).v[1] = words[1];
    U16(p.plane[2] + g * 2).v[0] = block.v[96 + j];
    if (j == 0) U16(p.plane[3] + g / 8 * 2).v[0] = block.v[104];
}
#endif

void main() {
    const uint width = p.blocks * kGroups, total = p.rows * width;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / width, at = i % width;
        const uint64_t units = uint64_t(row) * p.stride + uint64_t(at / kGroups) * kUnits;
        pack(U16(p.source + units * 2), uint64_t(i), at % kGroups);
    }
}
