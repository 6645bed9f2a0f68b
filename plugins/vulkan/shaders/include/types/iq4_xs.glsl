// IQ4_XS: plane 0 codes as nibbles, plane 1 the header of a superblock as in the file: d in F16, the
// upper two bits of the 8 scales, their lower nibbles. Elements are d * (scale - 32) * level.
#include "types/levels_iq4.glsl"
#include "types/codebook.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 codes;
    uvec2 head;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    U32x2(w.plane[1] + uint64_t(g >> 3) * 8).v[0]);
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) { look_up(raw.codes, low, high); }
uvec2 load_part(Planes w, uint g, uint part) { return look_up_part(w.plane[0], g, part); }
GroupScale scale_of(RawGroup raw, uint g) {
    const int j = int(g & 7);
    const uint scale =
        bitfieldExtract(raw.head.y, 4 * j, 4) | bitfieldExtract(raw.head.x, 16 + 2 * j, 2) << 4;
    const float d = half_to_float(raw.head.x & 0xffffu) * float(int(scale) - 32);
    return group_scale(d, d, 0.0);
}
