// Sum of four products of signed bytes.
#ifdef INT_DOT
// The instruction by its number, because older compilers do not know the GLSL name.
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018],
                  id = 4450) int dot_packed(int a, int b, spirv_literal int format);
int dot4(uint a, uint b) { return dot_packed(int(a), int(b), 0); }
#else
int dot4(uint a, uint b) {
    return signed_byte(a, 0) * signed_byte(b, 0) + signed_byte(a, 1) * signed_byte(b, 1) +
           signed_byte(a, 2) * signed_byte(b, 2) + signed_byte(a, 3) * signed_byte(b, 3);
}
#endif
