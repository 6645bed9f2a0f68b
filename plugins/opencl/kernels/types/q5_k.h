// Q5_K: plane 0 low nibbles, plane 1 headers (superblock.h), plane 2 4 bytes per group with the upper
// bits: bit p of byte i belongs to element 4p + i, bit 4 + p to element 16 + 4p + i.
#include "types/nibbles.h"
#include "types/superblock.h"
enum { kGroups = 8, kUnits = 88, kOneScale = 1 };
uint upper_bits(uint word, uint bit) { return ((word >> bit) & 0x01010101u) << 4; }
typedef struct {
    uint4 nibbles, header;
    uint upper;
} Raw;
Raw load_raw(Weights w, const Planes *p, ulong g) {
    Raw raw;
    raw.nibbles = load_nibbles(w, p->plane[0], g);
    raw.header = load_header(w, p->plane[1], g);
    raw.upper = CONST_AT(uint, w, p->plane[2])[g];
    return raw;
}
void quants_of(const Raw *raw, uint4 *low, uint4 *high) {
    split_nibbles(raw->nibbles, low, high);
    const uint upper = raw->upper;
    *low |= (uint4)(upper_bits(upper, 0), upper_bits(upper, 1), upper_bits(upper, 2),
                    upper_bits(upper, 3));
    *high |= (uint4)(upper_bits(upper, 4), upper_bits(upper, 5), upper_bits(upper, 6),
                     upper_bits(upper, 7));
}
uint2 load_part(Weights w, const Planes *p, ulong g, uint part) {
    const uint upper = CONST_AT(uint, w, p->plane[2])[g];
    return load_nibble_part(w, p->plane[0], g, part) |
           (uint2)(upper_bits(upper, part), upper_bits(upper, part + 4));
}
float3 scale_of(const Raw *raw, uint g) { return header_scale(raw->header, g); }
// Block: 16 bytes of header, 32 bytes whose bit j belongs to group j, then nibbles as in Q4_K.
void pack_group(global const ushort *block, Bytes w, const ulong *plane, ulong g, uint j) {
    AT(ushort, w, plane[1])[g] = block[j];
    pack_nibbles(block, 24 + 16 * (j / 2), 4 * (j % 2), AT(ushort, w, plane[0] + g * 16));
    uint word = 0;
    for (uint i = 0; i < 16; ++i) { // two elements
        const uint bits = ((uint)block[8 + i] >> j) & 0x0101u;
        // Elements 2i and 2i + 1: word i / 2 of eight, bytes 2 (i mod 2) and the next.
        word |= bits << (i / 2 + 16 * (i % 2));
    }
    AT(uint, w, plane[2])[g] = word;
}
