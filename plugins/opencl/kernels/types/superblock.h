// The header that Q4_K and Q5_K share, 16 bytes per superblock of 8 groups in plane 1: d and dmin in
// F16, then 6-bit scales and minima of the groups in 12 bytes, in the file's packing.
uint4 load_header(Weights w, ulong plane, ulong g) {
    return *CONST_AT(uint4, w, plane + (g >> 3) * 16);
}
float3 header_scale(uint4 head, uint g) {
    const uint j = g & 7, at = 8 * (j & 3);
    // The last four groups have their upper two bits in the words of the first four.
    const bool late = j >= 4;
    const uint both = head.w >> at;
    const uint scale = late ? (both & 15) | (((head.y >> (at + 6)) & 3) << 4) : (head.y >> at) & 63;
    const uint minimum =
        late ? ((both >> 4) & 15) | (((head.z >> (at + 6)) & 3) << 4) : (head.z >> at) & 63;
    const float d = half_to_float(head.x & 0xffffu) * scale;
    return (float3)(d, d, half_to_float(head.x >> 16) * minimum);
}
