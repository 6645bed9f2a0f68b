// MXFP4: plane 0 codes as nibbles, plane 1 two bytes per group with the exponent e. Levels are twice those
// of E2M1, 0 1 2 3 4 6 8 12 and their negatives, so that they are whole; elements are 2^(e - 128) * level,
// NaN for e = 255.
const uvec4 kLevels = uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);
#include "types/codebook.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 codes;
    uint exponent;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    uint(U16(w.plane[1] + uint64_t(g) * 2).v[0]));
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) { look_up(raw.codes, low, high); }
uvec2 load_part(Planes w, uint g, uint part) { return look_up_part(w.plane[0], g, part); }
GroupScale scale_of(RawGroup raw, uint g) {
    // Below e = 2 the power is subnormal.
    uint bits = raw.exponent < 2 ? 0x00200000u << raw.exponent : (raw.exponent - 1) << 23;
    if (raw.exponent == 255) bits = 0x7fc00000u;
    const float scale = uintBitsToFloat(bits);
    return group_scale(scale, scale, 0.0);
}
