#include "layout_oracle.h"

#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

namespace realizar::test {

double exact_f16(uint16_t bits) {
    const double sign = bits & 0x8000 ? -1 : 1;
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    return sign *
           (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

namespace {

template <class T>
T load(const uint8_t *at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

double half_at(const uint8_t *at) { return exact_f16(load<uint16_t>(at)); }
// Bits [first, first + count) of a byte.
int bits(uint8_t byte, int first, int count) { return byte >> first & ((1 << count) - 1); }
Exact one(double value) { return {value, std::fabs(value)}; }
Exact two(double a, double b) { return {a - b, std::fabs(a) + std::fabs(b)}; }

template <class T>
Exact plain(const uint8_t *block, uint64_t) {
    return one(static_cast<double>(load<T>(block)));
}

Exact f16(const uint8_t *b, uint64_t) { return one(half_at(b)); }
Exact bf16(const uint8_t *b, uint64_t) {
    const uint32_t wide = uint32_t(load<uint16_t>(b)) << 16;
    return one(std::bit_cast<float>(wide));
}

// Nibble of element e in 16 bytes: elements 0-15 low, 16-31 high.
int nibble32(const uint8_t *q, uint64_t e) {
    return e < 16 ? bits(q[e], 0, 4) : bits(q[e - 16], 4, 4);
}

Exact q8_0(const uint8_t *b, uint64_t e) { return one(half_at(b) * load<int8_t>(b + 2 + e)); }
Exact q4_0(const uint8_t *b, uint64_t e) { return one(half_at(b) * (nibble32(b + 2, e) - 8)); }

// 6-bit scale and minimum of sub-block j among 12 bytes.
int code_scale(const uint8_t *s, uint64_t j) {
    return j < 4 ? bits(s[j], 0, 6) : bits(s[j + 4], 0, 4) + 16 * bits(s[j - 4], 6, 2);
}
int code_minimum(const uint8_t *s, uint64_t j) {
    return j < 4 ? bits(s[j + 4], 0, 6) : bits(s[j + 4], 4, 4) + 16 * bits(s[j], 6, 2);
}

Exact q4_k(const uint8_t *b, uint64_t e) {
    const uint64_t j = e / 32;
    const int q = bits(b[16 + e / 64 * 32 + e % 32], j % 2 ? 4 : 0, 4);
    return two(half_at(b) * code_scale(b + 4, j) * q, half_at(b + 2) * code_minimum(b + 4, j));
}

Exact q6_k(const uint8_t *b, uint64_t e) {
    const uint64_t half = e / 128, r = e % 128;
    const uint8_t low = b[64 * half + r % 64], high = b[128 + 32 * half + r % 32];
    const int q =
        bits(low, r < 64 ? 0 : 4, 4) + 16 * bits(high, static_cast<int>(r / 32 * 2), 2) - 32;
    return one(half_at(b + 208) * load<int8_t>(b + 192 + e / 16) * q);
}

struct Row {
    DType dtype;
    Exact (*element)(const uint8_t *, uint64_t);
    std::array<uint32_t, 2> offsets;
    size_t n_offsets;
};

constexpr Row kRows[] = {
    {DType::F32, plain<float>, {}, 0},   {DType::F64, plain<double>, {}, 0},
    {DType::I8, plain<int8_t>, {}, 0},   {DType::I16, plain<int16_t>, {}, 0},
    {DType::I32, plain<int32_t>, {}, 0}, {DType::I64, plain<int64_t>, {}, 0},
    {DType::F16, f16, {0}, 1},           {DType::BF16, bf16, {}, 0},
    {DType::Q8_0, q8_0, {0}, 1},         {DType::Q4_0, q4_0, {0}, 1},
    {DType::Q4_K, q4_k, {0, 2}, 2},      {DType::Q6_K, q6_k, {208}, 1},
};

const Row *find(DType dtype) {
    for (const Row &row : kRows)
        if (row.dtype == dtype) return &row;
    return nullptr;
}

} // namespace

bool has_oracle(DType dtype) { return find(dtype) != nullptr; }

Exact exact_element(DType dtype, const uint8_t *block, uint64_t e) {
    const Row *row = find(dtype);
    assert(row != nullptr);
    return row->element(block, e);
}

std::span<const uint32_t> f16_offsets(DType dtype) {
    const Row *row = find(dtype);
    return row ? std::span(row->offsets).first(row->n_offsets) : std::span<const uint32_t>();
}

} // namespace realizar::test
