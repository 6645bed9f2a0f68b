// Q4_0: plane 0 nibbles, plane 1 F16 scale per group; elements are scale * (nibble - 8).
#include "types/nibbles.glsl"
void load_quants(Planes w, uint g, out uvec4 low, out uvec4 high) {
    load_nibbles(w.plane[0], g, low, high);
}
uvec2 load_part(Planes w, uint g, uint part) { return load_nibble_part(w.plane[0], g, part); }
GroupScale load_scale(Planes w, uint g) {
    const float d = half_to_float(uint(U16(w.plane[1] + uint64_t(g) * 2).v[0]));
    return GroupScale(d, d, 8.0 * d);
}
