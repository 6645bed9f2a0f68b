// Sum of four products of signed bytes, added to c.
#if defined(USE_PTX)
int dot4(uint a, uint b, int c) {
    int result;
    asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}
#elif defined(USE_DOT)
int dot4(uint a, uint b, int c) { return c + dot_4x8packed_ss_int(a, b); }
#else
int dot4(uint a, uint b, int c) {
    const int4 p = convert_int4(as_char4(a)) * convert_int4(as_char4(b));
    return c + p.x + p.y + p.z + p.w;
}
#endif

int dot16(uint4 a, uint4 b) {
    return dot4(a.w, b.w, dot4(a.z, b.z, dot4(a.y, b.y, dot4(a.x, b.x, 0))));
}

// Four numbers of at most 127 as signed bytes, to the nearest, ties to even.
uint pack_four(float4 x) {
#ifdef USE_PTX
    // Added to 1.5 * 2^23, a number has its whole part in the lowest bits.
    const uint4 bits = as_uint4(x + 12582912.0f);
    uint low, high, all;
    asm("prmt.b32 %0, %1, %2, 0x0040;" : "=r"(low) : "r"(bits.x), "r"(bits.y));
    asm("prmt.b32 %0, %1, %2, 0x0040;" : "=r"(high) : "r"(bits.z), "r"(bits.w));
    asm("prmt.b32 %0, %1, %2, 0x5410;" : "=r"(all) : "r"(low), "r"(high));
    return all;
#else
    return as_uint(convert_char4_rte(clamp(x, -127.0f, 127.0f)));
#endif
}
