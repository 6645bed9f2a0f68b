float largest_of(vec4 x) {
    const vec4 size = abs(x);
    return max(max(size.x, size.y), max(size.z, size.w));
}

// Four numbers of at most 127 as bytes: added to 1.5 * 2^23 they are rounded, and the low byte is the
// number.
uint pack(vec4 x) {
    const uvec4 q = floatBitsToUint(x + 12582912.0);
    return bitfieldInsert(bitfieldInsert(q.x, q.y, 8, 24), bitfieldInsert(q.z, q.w, 8, 24), 16, 16);
}
