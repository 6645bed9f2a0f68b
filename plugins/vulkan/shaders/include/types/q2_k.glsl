// Q2_K: plane 0 pairs of bits; plane 1 one byte per 16 elements: scale in the low, minimum in the high
// nibble; plane 2 d and dmin in F16 per superblock. Elements are d * scale * (two bits) - dmin * minimum.
#define TWO_MINIMA
#include "types/pairs.glsl"
const bool kOneScale = false;
struct RawGroup {
    uvec2 pairs;
    uint codes, head;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(load_pairs(w.plane[0], g), uint(U16(w.plane[1] + uint64_t(g) * 2).v[0]),
                    U32(w.plane[2] + uint64_t(g >> 3) * 4).v[0]);
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) {
    [[unroll]] for (uint p = 0; p < 4; ++p) {
        low[p] = pairs_of(raw.pairs.x, p);
        high[p] = pairs_of(raw.pairs.y, p);
    }
}
uvec2 load_part(Planes w, uint g, uint part) {
    const uvec2 pairs = load_pairs(w.plane[0], g);
    return uvec2(pairs_of(pairs.x, part), pairs_of(pairs.y, part));
}
GroupScale scale_of(RawGroup raw, uint g) {
    const vec2 d = unpackHalf2x16(raw.head);
    const uvec4 codes = (uvec4(raw.codes) >> uvec4(0, 4, 8, 12)) & 15u;
    return GroupScale(d.x * float(codes.x), d.x * float(codes.z), d.y * float(codes.y),
                      d.y * float(codes.w));
}
