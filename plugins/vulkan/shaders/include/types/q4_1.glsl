// Q4_1: plane 0 nibbles, plane 1 scale and minimum in F16; elements are scale * nibble + minimum.
#include "types/nibbles.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 nibbles;
    uint head;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    U32(w.plane[1] + uint64_t(g) * 4).v[0]);
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) { split_nibbles(raw.nibbles, low, high); }
uvec2 load_part(Planes w, uint g, uint part) { return load_nibble_part(w.plane[0], g, part); }
GroupScale scale_of(RawGroup raw, uint g) {
    const vec2 head = unpackHalf2x16(raw.head);
    return group_scale(head.x, head.x, -head.y);
}
