// What every kernel needs. Buffers are bytes; AT(T, buffer, offset) is a pointer to T in one.
#include "params.h"

#pragma OPENCL FP_CONTRACT ON

typedef global uchar *Bytes;
typedef global const uchar *restrict Weights; // never written while a kernel runs

#define AT(T, buffer, offset) ((global T *)((buffer) + (offset)))
#define CONST_AT(T, buffer, offset) ((global const T *)((buffer) + (offset)))

// Element types by their ids in backend.h.
enum { kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ8_0 = 8, kBF16 = 30 };

bool is_nan(float x) { return (as_uint(x) & 0x7fffffffu) > 0x7f800000u; }

// Where row r of an operand starts, as an offset; elements of `size` bytes.
ulong row_at(const Rows *rows, uint n1, uint n2, uint r, uint size) {
    const uint i2 = r % n2, upper = r / n2, i1 = upper % n1, i0 = upper / n1;
    const ulong elements = (ulong)i0 * rows->s0 + (ulong)i1 * rows->s1 + (ulong)i2 * rows->s2;
    return rows->base + elements * size;
}

// F16 needs no extension: it is only loaded and stored.
float half_to_float(ushort bits) {
#ifdef USE_PTX
    float result; // from a register: a private copy could come to lie in memory
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(bits));
    return result;
#else
    const ushort copy = bits;
    return vload_half(0, (const private half *)&copy);
#endif
}
float2 half_pair_to_float(uint bits) {
    return (float2)(half_to_float((ushort)bits), half_to_float((ushort)(bits >> 16)));
}

// Round to nearest even.
ushort float_to_half(float x) {
#ifdef USE_PTX
    ushort result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
#else
    const uint bits = as_uint(x), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00u;
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u; // 65520 and above
    if (magnitude < 0x33000001u) return sign;            // 2^-25 and below
    if (magnitude < 0x38800000u) {                       // subnormal
        const uint shift = 126u - (magnitude >> 23);
        const uint mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        const uint kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u);
        const uint middle = 1u << (shift - 1u);
        return sign | (kept + (rest > middle || (rest == middle && (kept & 1u)) ? 1u : 0u));
    }
    const uint rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return sign | ((rounded - 0x38000000u) >> 13);
#endif
}

// For weights of a softmax: a few times the rounding of F32.
float exp_fast(float x) {
#ifdef USE_PTX
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.44269504f));
    return y;
#else
    return exp(x);
#endif
}

float bf16_to_float(ushort bits) { return as_float((uint)bits << 16); }

ushort float_to_bf16(float x) {
    const uint bits = as_uint(x);
    if (is_nan(x)) return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// Element i of a row of a plain type.
float load_plain(uint type, global const uchar *row, uint i) {
    if (type == kF32) return ((global const float *)row)[i];
    if (type == kF16) return vload_half(i, (global const half *)row);
    return bf16_to_float(((global const ushort *)row)[i]);
}
uint plain_size(uint type) { return type == kF32 ? 4u : 2u; }

// Byte i (0..3) of a word as a signed number.
int signed_byte(uint word, uint i) { return (int)(word << (24u - 8u * i)) >> 24; }
