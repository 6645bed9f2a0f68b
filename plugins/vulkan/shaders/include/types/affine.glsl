// Superblocks of 8 groups whose header is 16 bytes: d and dmin in F16, then 6-bit scales and minima of the
// groups in 12 bytes, in the file's packing.
GroupScale affine_scale(uvec4 head, uint g) {
    const uint j = g & 7, at = 8 * (j & 3);
    const uvec3 words = head.yzw >> at;
    const uvec2 low = words.xy & 63, high = (words.xy >> 2) & 48;
    const bool upper = j >= 4;
    const uint scale = upper ? (words.z & 15) | high.x : low.x;
    const uint minimum = upper ? ((words.z >> 4) & 15) | high.y : low.y;
    const vec2 d = unpackHalf2x16(head.x);
    return group_scale(d.x * float(scale), d.x * float(scale), d.y * float(minimum));
}
