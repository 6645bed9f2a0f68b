// Q4_K: plane 0 nibbles, plane 1 16 bytes per superblock of 8 groups: d and dmin in F16, then 6-bit
// scales and minima of the groups in 12 bytes, in the file's packing.
#include "types/nibbles.glsl"
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
    uint scale, minimum;
    if (j < 4) {
        scale = (head.y >> at) & 63;
        minimum = (head.z >> at) & 63;
    } else {
        const uint both = head.w >> at;
        scale = (both & 15) | (((head.y >> (at + 6)) & 3) << 4);
        minimum = ((both >> 4) & 15) | (((head.z >> (at + 6)) & 3) << 4);
    }
    const vec2 d = unpackHalf2x16(head.x);
    return GroupScale(d.x * float(scale), d.x * float(scale), d.y * float(minimum));
}
