// Q6_K: plane 0 low nibbles; plane 1 8 bytes per group with the upper two bits: bits 2p, 2p+1 of byte
// i of word 0 belong to element 4p + i, of word 1 to element 16 + 4p + i; plane 2 one signed byte
// scale per 16 elements; plane 3 F16 d per superblock. Elements are d * scale * (six bits - 32).
#include "types/nibbles.glsl"
// 0..63 in each byte -> -32..31.
uint centre(uint bytes) { return ((bytes | 0x80808080u) - 0x20202020u) ^ 0x80808080u; }
uint upper_bits(uint word, uint part) { return ((word >> (2 * part)) & 0x03030303u) << 4; }
const bool kOneScale = false;
struct RawGroup {
    uvec4 nibbles;
    uvec2 upper;
    uint scales, d;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    U32x2(w.plane[1] + uint64_t(g) * 8).v[0],
                    uint(U16(w.plane[2] + uint64_t(g) * 2).v[0]),
                    uint(U16(w.plane[3] + uint64_t(g >> 3) * 2).v[0]));
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) {
    split_nibbles(raw.nibbles, low, high);
    [[unroll]] for (uint p = 0; p < 4; ++p) {
        low[p] = centre(low[p] | upper_bits(raw.upper.x, p));
        high[p] = centre(high[p] | upper_bits(raw.upper.y, p));
    }
}
uvec2 load_part(Planes w, uint g, uint part) {
    const uvec2 nibbles = load_nibble_part(w.plane[0], g, part);
    const uvec2 upper = U32x2(w.plane[1] + uint64_t(g) * 8).v[0];
    return uvec2(centre(nibbles.x | upper_bits(upper.x, part)),
                 centre(nibbles.y | upper_bits(upper.y, part)));
}
GroupScale scale_of(RawGroup raw, uint g) {
    const float d = half_to_float(raw.d);
    return group_scale(d * float(signed_byte(raw.scales, 0)), d * float(signed_byte(raw.scales, 1)),
                      0.0);
}
