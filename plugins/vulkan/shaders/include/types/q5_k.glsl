// Q5_K: plane 0 nibbles, plane 1 fifth bits, plane 2 the header of a superblock (affine.glsl).
#include "types/affine.glsl"
#include "types/fifth.glsl"
#include "types/nibbles.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 nibbles, head;
    uint fifth;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    U32x4(w.plane[2] + uint64_t(g >> 3) * 16).v[0],
                    load_fifth_bits(w.plane[1], g));
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
GroupScale scale_of(RawGroup raw, uint g) { return affine_scale(raw.head, g); }
