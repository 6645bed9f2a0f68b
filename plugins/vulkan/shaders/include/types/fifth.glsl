// The plane of fifth bits: 4 bytes a group, bit p of byte i belongs to element 4p + i, bit 4 + p to
// element 16 + 4p + i.
uint fifth_bits(uint word, uint p) { return ((word >> p) & 0x01010101u) << 4; }
void add_fifth_bits(uint word, inout uvec4 low, inout uvec4 high) {
    [[unroll]] for (uint p = 0; p < 4; ++p) {
        low[p] |= fifth_bits(word, p);
        high[p] |= fifth_bits(word, 4 + p);
    }
}
uint load_fifth_bits(uint64_t plane, uint g) { return U32(plane + uint64_t(g) * 4).v[0]; }
