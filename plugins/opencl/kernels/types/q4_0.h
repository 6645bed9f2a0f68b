// Q4_0: plane 0 nibbles, plane 1 F16 scale per group; elements are scale * (nibble - 8).
#include "types/nibbles.h"
enum { kGroups = 1, kUnits = 9 };
void load_quants(Weights w, const Planes *p, ulong g, uint4 *low, uint4 *high) {
    load_nibbles(w, p->plane[0], g, low, high);
}
uint2 load_part(Weights w, const Planes *p, ulong g, uint part) {
    return load_nibble_part(w, p->plane[0], g, part);
}
float3 load_scale(Weights w, const Planes *p, ulong g) {
    const float d = vload_half(g, CONST_AT(half, w, p->plane[1]));
    return (float3)(d, d, 8.0f * d);
}
void pack_group(global const ushort *block, Bytes w, const ulong *plane, ulong g, uint j) {
    AT(ushort, w, plane[1])[g] = block[0];
    for (uint i = 0; i < 8; ++i)
        AT(ushort, w, plane[0] + g * 16)[i] = block[1 + i];
}
