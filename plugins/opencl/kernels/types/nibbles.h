// The plane that 4-bit types share: 16 bytes a group, byte i holds element i and, above it, i + 16.
uint4 load_nibbles(Weights w, ulong plane, ulong g) { return *CONST_AT(uint4, w, plane + g * 16); }
void split_nibbles(uint4 both, uint4 *low, uint4 *high) {
    *low = both & 0x0f0f0f0fu;
    *high = (both >> 4) & 0x0f0f0f0fu;
}
uint2 load_nibble_part(Weights w, ulong plane, ulong g, uint part) {
    const uint both = CONST_AT(uint, w, plane + g * 16)[part];
    return (uint2)(both & 0x0f0f0f0fu, (both >> 4) & 0x0f0f0f0fu);
}
// From two runs of 32 bytes in one, the first in the low nibbles: `from` is the first unit of the run,
// `shift` 0 or 4.
void pack_nibbles(global const ushort *block, uint from, uint shift, global ushort *to) {
    for (uint i = 0; i < 8; ++i) {
        const uint low = ((uint)block[from + i] >> shift) & 0x0f0fu;
        const uint high = ((uint)block[from + 8 + i] >> shift) & 0x0f0fu;
        to[i] = (ushort)(low | (high << 4));
    }
}
