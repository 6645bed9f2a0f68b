// A plane of pairs of bits: 8 bytes a group, bits 2p, 2p+1 of byte i of word 0 belong to element 4p + i, of
// word 1 to element 16 + 4p + i.
uvec2 load_pairs(uint64_t plane, uint g) { return U32x2(plane + uint64_t(g) * 8).v[0]; }
uint pairs_of(uint word, uint p) { return (word >> (2 * p)) & 0x03030303u; }
