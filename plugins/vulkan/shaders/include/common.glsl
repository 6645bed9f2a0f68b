// Extensions, buffer types and conversions that every shader needs.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

#include "params.h"

layout(buffer_reference, std430, buffer_reference_align = 4) buffer F32 { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer I32 { int v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer U32 { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer U16 { uint16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer U32x2 { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer F32x2 { vec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer U32x4 { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer F32x4 { vec4 v[]; };

// Element types as specialisation constants: their ids in backend.h.
const uint kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ8_0 = 8, kBF16 = 30;

#define kInf uintBitsToFloat(0x7f800000u)

bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// Where row r of an operand starts; elements of `size` bytes.
uint64_t row_address(Rows rows, uint n1, uint n2, uint r, uint size) {
    const uint i2 = r % n2, upper = r / n2;
    const uint i1 = upper % n1, i0 = upper / n1;
    const uint64_t elements =
        uint64_t(i0) * rows.s0 + uint64_t(i1) * rows.s1 + uint64_t(i2) * rows.s2;
    return rows.base + elements * size;
}

float half_to_float(uint bits) { return unpackHalf2x16(bits).x; }

// Round to nearest even; packHalf2x16 may round in another way.
uint float_to_half(float x) {
    const uint bits = floatBitsToUint(x), sign = (bits >> 16) & 0x8000u;
    const uint magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00u;
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u; // 65520 and above
    if (magnitude < 0x33000001u) return sign;            // 2^-25 and below
    if (magnitude < 0x38800000u) {                       // subnormal
        const uint shift = 126u - (magnitude >> 23);
        const uint mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        const uint kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u);
        const uint middle = 1u << (shift - 1u);
        return sign | (kept + ((rest > middle || (rest == middle && (kept & 1u) != 0)) ? 1u : 0u));
    }
    const uint rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return sign | ((rounded - 0x38000000u) >> 13);
}

float bf16_to_float(uint bits) { return uintBitsToFloat(bits << 16); }

uint float_to_bf16(float x) {
    const uint bits = floatBitsToUint(x);
    if (is_nan(x)) return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// Element i of a row of a plain type.
float load_plain(uint type, uint64_t row, uint i) {
    if (type == kF32) return F32(row).v[i];
    const uint bits = uint(U16(row).v[i]);
    return type == kF16 ? half_to_float(bits) : bf16_to_float(bits);
}
uint plain_size(uint type) { return type == kF32 ? 4u : 2u; }

// Byte i (0..3) of a word as a signed number.
int signed_byte(uint word, uint i) { return bitfieldExtract(int(word), int(8u * i), 8); }
