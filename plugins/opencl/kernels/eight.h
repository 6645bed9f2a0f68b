// Eight neighbouring elements of a row in a cache, a thread's share of it, and the steps from what lies in
// memory to numbers: the type is known when a kernel is built. Rows in F16 lie at multiples of 16 bytes.
// x, y, z, w: pairs of F16; else x, y: eight bytes of a block, z: its scale.
uint4 load_eight(uint type, global const uchar *row, uint at) {
    if (type == kF16) return ((global const uint4 *)row)[at];
    global const ushort *block = (global const ushort *)(row + at / 4 * (type == kQ8_0 ? 34 : 18));
    // Q4_0: elements 0..15 of a block in the low halves of its bytes, 16..31 in the high ones.
    global const ushort *two = block + 1 + (type == kQ8_0 ? at % 4 : at % 2) * 4;
    return (uint4)(two[0] | (uint)two[1] << 16, two[2] | (uint)two[3] << 16, block[0], 0);
}

// What all eight are multiplied with.
float scale_of_eight(uint type, uint4 eight) {
    return type == kF16 ? 1.0f : half_to_float((ushort)eight.z);
}

// Elements 2 j and 2 j + 1 of eighth `at`, without the scale.
float2 pair_of_eight(uint type, uint4 eight, uint at, uint j) {
    const uint words[4] = {eight.x, eight.y, eight.z, eight.w};
    if (type == kF16) return half_pair_to_float(words[j]);
    const uint word = words[j / 2], first = j % 2 * 2;
    if (type == kQ8_0)
        return (float2)((float)signed_byte(word, first), (float)signed_byte(word, first + 1));
    const uint nibbles = word >> (first * 8 + at % 4 / 2 * 4);
    return (float2)((float)(nibbles & 15u), (float)(nibbles >> 8 & 15u)) - 8.0f;
}
