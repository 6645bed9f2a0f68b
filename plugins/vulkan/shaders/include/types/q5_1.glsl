// Q5_1: plane 0 nibbles, plane 1 fifth bits, plane 2 scale and minimum in F16; elements are
// scale * (five bits) + minimum.
#include "types/fifth.glsl"
#include "types/nibbles.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 nibbles;
    uint fifth, head;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0], load_fifth_bits(w.plane[1], g),
                    U32(w.plane[2] + uint64_t(g) * 4).v[0]);
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
    const vec2 head = unpackHalf2x16(raw.head);
    return group_scale(head.x, head.x, -head.y);
}
