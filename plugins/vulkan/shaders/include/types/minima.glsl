// What the minima of a group take from its product with 32 bytes of x; `x`: their scale, and that times
// their sum. Needs dot.glsl.
float minima_of(GroupScale scale, vec2 x, uvec4 low, uvec4 high) {
#ifdef TWO_MINIMA
    int sums[2] = int[2](0, 0);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        sums[0] += dot4(low[i], 0x01010101u);
        sums[1] += dot4(high[i], 0x01010101u);
    }
    return x.x * (scale.minimum * float(sums[0]) + scale.upper_minimum * float(sums[1]));
#else
    return scale.minimum * x.y;
#endif
}
