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

// The fifth bit of element e is bit e of four bytes.
int fifth32(const uint8_t *q, uint64_t e) { return bits(q[e / 8], static_cast<int>(e % 8), 1); }

Exact q4_1(const uint8_t *b, uint64_t e) {
    return two(half_at(b) * nibble32(b + 4, e), -half_at(b + 2));
}
Exact q5_0(const uint8_t *b, uint64_t e) {
    return one(half_at(b) * (nibble32(b + 6, e) + 16 * fifth32(b + 2, e) - 16));
}
Exact q5_1(const uint8_t *b, uint64_t e) {
    return two(half_at(b) * (nibble32(b + 8, e) + 16 * fifth32(b + 4, e)), -half_at(b + 2));
}

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

Exact q5_k(const uint8_t *b, uint64_t e) {
    const uint64_t j = e / 32;
    const int q = bits(b[48 + e / 64 * 32 + e % 32], j % 2 ? 4 : 0, 4) +
                  16 * bits(b[16 + e % 32], static_cast<int>(j), 1);
    return two(half_at(b) * code_scale(b + 4, j) * q, half_at(b + 2) * code_minimum(b + 4, j));
}

Exact q2_k(const uint8_t *b, uint64_t e) {
    const int q = bits(b[16 + 32 * (e / 128) + e % 32], static_cast<int>(e % 128 / 32 * 2), 2);
    const uint8_t code = b[e / 16];
    return two(half_at(b + 80) * bits(code, 0, 4) * q, half_at(b + 82) * bits(code, 4, 4));
}

Exact q3_k(const uint8_t *b, uint64_t e) {
    const uint64_t j = e / 16, run = e / 32; // run: one of 8 runs of 32 elements
    const int low = bits(b[32 + 32 * (e / 128) + e % 32], static_cast<int>(run % 4 * 2), 2);
    const int top = bits(b[e % 32], static_cast<int>(run), 1);
    const uint8_t *s = b + 96;
    const int code = (j < 8 ? bits(s[j], 0, 4) : bits(s[j - 8], 4, 4)) +
                     16 * bits(s[8 + j % 4], static_cast<int>(j / 4 * 2), 2);
    return one(half_at(b + 108) * (code - 32) * (low + 4 * top - 4));
}

Exact q8_k(const uint8_t *b, uint64_t e) {
    return one(double(load<float>(b)) * load<int8_t>(b + 4 + e));
}

constexpr int kCodebook[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

Exact iq4_nl(const uint8_t *b, uint64_t e) {
    return one(half_at(b) * kCodebook[nibble32(b + 2, e)]);
}

Exact iq4_xs(const uint8_t *b, uint64_t e) {
    const uint64_t j = e / 32;
    const int code = bits(b[4 + j / 2], j % 2 ? 4 : 0, 4) +
                     16 * bits(b[2 + j / 4], static_cast<int>(j % 4 * 2), 2);
    return one(half_at(b) * (code - 32) * kCodebook[nibble32(b + 8 + 16 * j, e % 32)]);
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
    {DType::Q4_1, q4_1, {0, 2}, 2},      {DType::Q5_0, q5_0, {0}, 1},
    {DType::Q5_1, q5_1, {0, 2}, 2},      {DType::Q2_K, q2_k, {80, 82}, 2},
    {DType::Q3_K, q3_k, {108}, 1},       {DType::Q4_K, q4_k, {0, 2}, 2},
    {DType::Q5_K, q5_k, {0, 2}, 2},      {DType::Q6_K, q6_k, {208}, 1},
    {DType::Q8_K, q8_k, {}, 0},          {DType::IQ4_NL, iq4_nl, {0}, 1},
    {DType::IQ4_XS, iq4_xs, {0}, 1},
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
