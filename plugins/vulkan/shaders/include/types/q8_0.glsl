// Q8_0: plane 0 32 signed bytes per group, plane 1 F16 scale per group.
const bool kOneScale = true;
struct RawGroup {
    uvec4 low, high;
    uint d;
};
RawGroup load_raw(Planes w, uint g) {
    U32x4 group = U32x4(w.plane[0] + uint64_t(g) * 32);
    return RawGroup(group.v[0], group.v[1], uint(U16(w.plane[1] + uint64_t(g) * 2).v[0]));
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) {
    low = raw.low;
    high = raw.high;
}
uvec2 load_part(Planes w, uint g, uint part) {
    U32 group = U32(w.plane[0] + uint64_t(g) * 32);
    return uvec2(group.v[part], group.v[part + 4]);
}
GroupScale scale_of(RawGroup raw, uint g) {
    const float d = half_to_float(raw.d);
    return group_scale(d, d, 0.0);
}
