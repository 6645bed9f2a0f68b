// Q8_0: plane 0 32 signed bytes per group, plane 1 F16 scale per group.
enum { kGroups = 1, kUnits = 17 };
void load_quants(Weights w, const Planes *p, ulong g, uint4 *low, uint4 *high) {
    global const uint4 *group = CONST_AT(uint4, w, p->plane[0] + g * 32);
    *low = group[0];
    *high = group[1];
}
uint2 load_part(Weights w, const Planes *p, ulong g, uint part) {
    global const uint *group = CONST_AT(uint, w, p->plane[0] + g * 32);
    return (uint2)(group[part], group[part + 4]);
}
float3 load_scale(Weights w, const Planes *p, ulong g) {
    const float d = vload_half(g, CONST_AT(half, w, p->plane[1]));
    return (float3)(d, d, 0.0f);
}
void pack_group(global const ushort *block, Bytes w, const ulong *plane, ulong g, uint j) {
    AT(ushort, w, plane[1])[g] = block[0];
    for (uint i = 0; i < 16; ++i)
        AT(ushort, w, plane[0] + g * 32)[i] = block[1 + i];
}
