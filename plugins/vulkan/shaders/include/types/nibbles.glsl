// The plane that 4-bit types share: 16 bytes a group, byte i holds element i and, above it, i + 16.
void split_nibbles(uvec4 both, out uvec4 low, out uvec4 high) {
    low = both & 0x0f0f0f0fu;
    high = (both >> 4) & 0x0f0f0f0fu;
}
uvec2 load_nibble_part(uint64_t plane, uint g, uint part) {
    const uint both = U32(plane + uint64_t(g) * 16).v[part];
    return uvec2(both & 0x0f0f0f0fu, (both >> 4) & 0x0f0f0f0fu);
}
