// Q8_0: plane 0 32 signed bytes per group, plane 1 F16 scale per group.
void load_quants(Planes w, uint g, out uvec4 low, out uvec4 high) {
    U32x4 group = U32x4(w.plane[0] + uint64_t(g) * 32);
    low = group.v[0];
    high = group.v[1];
}
uvec2 load_part(Planes w, uint g, uint part) {
    U32 group = U32(w.plane[0] + uint64_t(g) * 32);
    return uvec2(group.v[part], group.v[part + 4]);
}
GroupScale load_scale(Planes w, uint g) {
    const float d = half_to_float(uint(U16(w.plane[1] + uint64_t(g) * 2).v[0]));
    return GroupScale(d, d, 0.0);
}
