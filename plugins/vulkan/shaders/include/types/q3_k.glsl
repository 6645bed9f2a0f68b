// Q3_K: plane 0 the lower two bits (pairs.glsl), plane 1 third bits as in fifth.glsl; plane 2 one signed
// byte scale per 16 elements; plane 3 F16 d per superblock. Elements are d * scale * (three bits - 4).
#include "types/pairs.glsl"
const bool kOneScale = false;
struct RawGroup {
    uvec2 pairs;
    uint thirds, scales, d;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(load_pairs(w.plane[0], g),
                    U32(w.plane[1] + uint64_t(g) * 4).v[0],
                    uint(U16(w.plane[2] + uint64_t(g) * 2).v[0]),
                    uint(U16(w.plane[3] + uint64_t(g >> 3) * 2).v[0]));
}
// -4..3 in each byte.
uint level(uint pairs, uint thirds, uint part, uint third) {
    const uint bits = pairs_of(pairs, part) | ((thirds >> third) & 0x01010101u) << 2;
    return ((bits | 0x80808080u) - 0x04040404u) ^ 0x80808080u;
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) {
    [[unroll]] for (uint p = 0; p < 4; ++p) {
        low[p] = level(raw.pairs.x, raw.thirds, p, p);
        high[p] = level(raw.pairs.y, raw.thirds, p, 4 + p);
    }
}
uvec2 load_part(Planes w, uint g, uint part) {
    const RawGroup raw = load_raw(w, g);
    return uvec2(level(raw.pairs.x, raw.thirds, part, part),
                 level(raw.pairs.y, raw.thirds, part, 4 + part));
}
GroupScale scale_of(RawGroup raw, uint g) {
    const float d = half_to_float(raw.d);
    return group_scale(d * float(signed_byte(raw.scales, 0)), d * float(signed_byte(raw.scales, 1)),
                      0.0);
}
