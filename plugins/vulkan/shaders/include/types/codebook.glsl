// Nibbles that stand for the signed bytes of a table of 16, kLevels, which the includer has defined.
#include "types/nibbles.glsl"
uint level_of(uint code) {
    const bool second = (code & 4) != 0;
    const uint low = second ? kLevels.y : kLevels.x, high = second ? kLevels.w : kLevels.z;
    return bitfieldExtract((code & 8) != 0 ? high : low, int(8 * (code & 3)), 8);
}
uint levels_of(uint codes) {
    return level_of(codes & 15) | level_of(bitfieldExtract(codes, 8, 4)) << 8 |
           level_of(bitfieldExtract(codes, 16, 4)) << 16 | level_of(codes >> 24) << 24;
}
void look_up(uvec4 both, out uvec4 low, out uvec4 high) {
    split_nibbles(both, low, high);
    [[unroll]] for (uint p = 0; p < 4; ++p) {
        low[p] = levels_of(low[p]);
        high[p] = levels_of(high[p]);
    }
}
uvec2 look_up_part(uint64_t plane, uint g, uint part) {
    const uvec2 codes = load_nibble_part(plane, g, part);
    return uvec2(levels_of(codes.x), levels_of(codes.y));
}
