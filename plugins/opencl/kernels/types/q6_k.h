// Q6_K: plane 0 low nibbles; plane 1 8 bytes per group with the upper two bits: bits 2p, 2p+1 of byte
// i of word 0 belong to element 4p + i, of word 1 to element 16 + 4p + i; plane 2 one signed byte
// scale per 16 elements; plane 3 F16 d per superblock. Elements are d * scale * (six bits - 32).
#include "types/nibbles.h"
enum { kGroups = 8, kUnits = 105, kOneScale = 0 };
// 0..63 in each byte -> -32..31.
uint centre(uint bytes) { return ((bytes | 0x80808080u) - 0x20202020u) ^ 0x80808080u; }
uint upper_bits(uint word, uint part) { return ((word >> (2 * part)) & 0x03030303u) << 4; }
uint4 centre4(uint4 nibbles, uint upper) {
    return (
        uint4)(centre(nibbles.x | upper_bits(upper, 0)), centre(nibbles.y | upper_bits(upper, 1)),
               centre(nibbles.z | upper_bits(upper, 2)), centre(nibbles.w | upper_bits(upper, 3)));
}
typedef struct {
    uint4 nibbles;
    uint2 upper;
    char2 scales;
    ushort d;
} Raw;
Raw load_raw(Weights w, const Planes *p, ulong g) {
    Raw raw;
    raw.nibbles = load_nibbles(w, p->plane[0], g);
    raw.upper = *CONST_AT(uint2, w, p->plane[1] + g * 8);
    raw.scales = *CONST_AT(char2, w, p->plane[2] + g * 2);
    raw.d = CONST_AT(ushort, w, p->plane[3])[g >> 3];
    return raw;
}
void quants_of(const Raw *raw, uint4 *low, uint4 *high) {
    split_nibbles(raw->nibbles, low, high);
    *low = centre4(*low, raw->upper.x);
    *high = centre4(*high, raw->upper.y);
}
uint2 load_part(Weights w, const Planes *p, ulong g, uint part) {
    const uint2 nibbles = load_nibble_part(w, p->plane[0], g, part);
    const uint2 upper = *CONST_AT(uint2, w, p->plane[1] + g * 8);
    return (uint2)(centre(nibbles.x | upper_bits(upper.x, part)),
                   centre(nibbles.y | upper_bits(upper.y, part)));
}
float3 scale_of(const Raw *raw, uint g) {
    const float d = half_to_float(raw->d);
    return (float3)(d * raw->scales.x, d * raw->scales.y, 0.0f);
}
// Block: 128 bytes of low nibbles, 64 of upper bits, 16 scales, d. Half h of the block, group k of 4
// in it: nibbles in byte 64h + 32(k mod 2) + i, shifted by 4(k / 2); upper bits in 32h + i, by 2k.
void pack_group(global const ushort *block, Bytes w, const ulong *plane, ulong g, uint j) {
    const uint h = j / 4, k = j % 4;
    pack_nibbles(block, 32 * h + 16 * (k % 2), 4 * (k / 2), AT(ushort, w, plane[0] + g * 16));
    uint words[2] = {0, 0};
    for (uint i = 0; i < 16; ++i) { // two elements
        const uint bits = ((uint)block[64 + 16 * h + i] >> (2 * k)) & 0x0303u;
        // Elements 2i and 2i + 1: half i / 8, part i / 2 mod 4, bytes 2(i mod 2) and the next.
        words[i / 8] |= bits << (2 * (i / 2 % 4) + 16 * (i % 2));
    }
    AT(uint, w, plane[1] + g * 8)[0] = words[0];
    AT(uint, w, plane[1] + g * 8)[1] = words[1];
    AT(ushort, w, plane[2])[g] = block[96 + j];
    if (j == 0) AT(ushort, w, plane[3])[g / 8] = block[104];
}
