// Q4_K: plane 0 nibbles, plane 1 16 bytes per superblock of 8 groups: d and dmin in F16, then 6-bit
// scales and minima of the groups in 12 bytes, in the file's packing.
#include "types/nibbles.glsl"
const bool kOneScale = true;
struct RawGroup {
    uvec4 nibbles, head;
};
RawGroup load_raw(Planes w, uint g) {
    return RawGroup(U32x4(w.plane[0] + uint64_t(g) * 16).v[0],
                    U32x4(w.plane[1] + uint64_t(g >> 3) * 16).v[0]);
}
void quants_of(RawGroup raw, out uvec4 low, out uvec4 high) { split_nibbles(raw.nibbles, low, high); }
uvec2 load_part(Planes w, uint g, uint part) { return load_nibble_part(w.plane[0], g, part); }
GroupScale scale_of(RawGroup raw, uint g) {
    const uvec4 head = raw.head;
    const uint j = g & 7, at = 8 * (j & 3);
    const uvec3 words = head.yzw >> at;
    const uvec2 low = words.xy & 63, high = (words.xy >> 2) & 48;
    const bool upper = j >= 4;
    const uint scale = upper ? (words.z & 15) | high.x : low.x;
    const uint minimum = upper ? ((words.z >> 4) & 15) | high.y : low.y;
    const vec2 d = unpackHalf2x16(head.x);
    return GroupScale(d.x * float(scale), d.x * float(scale), d.y * float(minimum));
}
