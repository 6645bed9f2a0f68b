// Q4_0: plane 0 nibbles, plane 1 F16 scale per group; elements are scale * (nibble - 8).
#include "types/nibbles.h"
enum { kGroups = 1, kUnits = 9, kOneScale = 1 };
typedef struct {
    uint4 nibbles;
    ushort scale;
} Raw;
Raw load_raw(Weights w, const Planes *p, ulong g) {
    Raw raw;
    raw.nibbles = load_nibbles(w, p->plane[0], g);
    raw.scale = CONST_AT(ushort, w, p->plane[1])[g];
    return raw;
}
void quants_of(const Raw *raw, uint4 *low, uint4 *high) { split_nibbles(raw->nibbles, low, high); }
uint2 load_part(Weights w, const Planes *p, ulong g, uint part) {
    return load_nibble_part(w, p->plane[0], g, part);
}
float3 scale_of(const Raw *raw, uint g) {
    const float d = half_to_float(raw->scale);
    return (float3)(d, d, 8.0f * d);
}
void pack_group(global const ushort *block, Bytes w, const ulong *plane, ulong g, uint j) {
    AT(ushort, w, plane[1])[g] = block[0];
    for (uint i = 0; i < 8; ++i)
        AT(ushort, w, plane[0] + g * 16)[i] = block[1 + i];
}
