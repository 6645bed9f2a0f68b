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
