// Q4_K: plane 0 nibbles, plane 1 headers (superblock.h).
#include "types/nibbles.h"
#include "types/superblock.h"
enum { kGroups = 8, kUnits = 72, kOneScale = 1 };
typedef struct {
    uint4 nibbles, header;
} Raw;
Raw load_raw(Weights w, const Planes *p, ulong g) {
    Raw raw;
    raw.nibbles = load_nibbles(w, p->plane[0], g);
    raw.header = load_header(w, p->plane[1], g);
    return raw;
}
void quants_of(const Raw *raw, uint4 *low, uint4 *high) { split_nibbles(raw->nibbles, low, high); }
uint2 load_part(Weights w, const Planes *p, ulong g, uint part) {
    return load_nibble_part(w, p->plane[0], g, part);
}
float3 scale_of(const Raw *raw, uint g) { return header_scale(raw->header, g); }
// Block: 16 bytes of header, then for each pair of groups 32 bytes: the first in the low nibbles.
void pack_group(global const ushort *block, Bytes w, const ulong *plane, ulong g, uint j) {
    AT(ushort, w, plane[1])[g] = block[j]; // the group's share of the header
    pack_nibbles(block, 8 + 16 * (j / 2), 4 * (j % 2), AT(ushort, w, plane[0] + g * 16));
}
