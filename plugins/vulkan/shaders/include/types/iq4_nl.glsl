// IQ4_NL: plane 0 codes as nibbles, plane 1 F16 scale per group; elements are scale * level.
#include "types/levels_iq4.glsl"
#include "types/codebook.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 codes;
    uint d;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    uint(U16(w.plane[1] + uint64_t(g) * 2).v[0]));
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) { look_up(raw.codes, low, high); }
uvec2 load_part(Planes w, uint g, uint part) { return look_up_part(w.plane[0], g, part); }
GroupScale scale_of(RawGroup raw, uint g) {
    const float d = half_to_float(raw.d);
    return group_scale(d, d, 0.0);
}
