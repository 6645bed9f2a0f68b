// Q8_0: plane 0 32 signed bytes per group, plane 1 F16 scale per group.
enum { kGroups = 1, kUnits = 17, kOneScale = 1 };
typedef struct {
    uint4 low, high;
    ushort scale;
} Raw;
Raw load_raw(Weights w, const Planes *p, ulong g) {
    global const uint4 *group = CONST_AT(uint4, w, p->plane[0] + g * 32);
    Raw raw;
    raw.low = group[0];
    raw.high = group[1];
    raw.scale = CONST_AT(ushort, w, p->plane[1])[g];
    return raw;
}
void quants_of(const Raw *raw, uint4 *low, uint4 *high) {
    *low = raw->low;
    *high = raw->high;
}
uint2 load_part(Weights w, const Planes *p, ulong g, uint part) {
    global const uint *group = CONST_AT(uint, w, p->plane[0] + g * 32);
    return (uint2)(group[part], group[part + 4]);
}
float3 scale_of(const Raw *raw, uint g) {
    const float d = half_to_float(raw->scale);
    return (float3)(d, d, 0.0f);
}
void pack_group(global const ushort *block, Bytes w, const ulong *plane, ulong g, uint j) {
    AT(ushort, w, plane[1])[g] = block[0];
    for (uint i = 0; i < 16; ++i)
        AT(ushort, w, plane[0] + g * 32)[i] = block[1 + i];
}
