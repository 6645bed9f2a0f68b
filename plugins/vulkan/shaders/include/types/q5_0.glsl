// Q5_0: plane 0 nibbles, plane 1 fifth bits, plane 2 F16 scale per group; elements are
// scale * (five bits - 16).
#include "types/fifth.glsl"
#include "types/nibbles.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 nibbles;
    uint fifth, d;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0], load_fifth_bits(w.plane[1], g),
                    uint(U16(w.plane[2] + uint64_t(g) * 2).v[0]));
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) {
    split_nibbles(raw.nibbles, low, high);
    add_fifth_bits(raw.fifth, low, high);
}
uvec2 load_part(Planes w, uint g, uint part) {
    const uint fifth = load_fifth_bits(w.plane[1], g);
    return load_nibble_part(w.plane[0], g, part) |
           uvec2(fifth_bits(fifth, part), fifth_bits(fifth, 4 + part));
}
GroupScale scale_of(RawGroup raw, uint g) {
    const float d = half_to_float(raw.d);
    return group_scale(d, d, 16.0 * d);
}
