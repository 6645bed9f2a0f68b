// Q4_0: plane 0 nibbles, plane 1 F16 scale per group; elements are scale * (nibble - 8).
#include "types/nibbles.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 nibbles;
    uint d;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    uint(U16(w.plane[1] + uint64_t(g) * 2).v[0]));
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) { split_nibbles(raw.nibbles, low, high); }
GroupScale scale_of(RawGroup raw, uint g) {
    const float d = half_to_float(raw.d);
    return group_scale(d, d, 8.0 * d);
}
uvec2 load_part(Planes w, uint g, uint part) { return load_nibble_part(w.plane[0], g, part); }
