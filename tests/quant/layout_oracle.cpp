#include "layout_oracle.h"

#include "core/quant/grids.h" // the figures only; decode_test.cpp pins them

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

template <uint64_t kFirst>
Exact q8_0_at(const uint8_t *b, uint64_t e) {
    return one(half_at(b) * load<int8_t>(b + kFirst + e));
}
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

double level_2(unsigned row, uint64_t j) { return std::array{8, 25, 43, 0}[row >> (2 * j) & 3]; }
double level_3xxs(uint64_t code, uint64_t j) {
    return std::array{4, 12, 20, 28, 36, 44, 52, 62}[kGrid3XXS[code] >> (3 * j) & 7];
}
double level_3s(uint64_t code, uint64_t j) { return (kGrid3S[code] >> (3 * j) & 7) * 2 + 1; }

// Bit j of a byte of which only seven bits are stored: the eighth is their parity.
bool minus_of_seven(unsigned seven, uint64_t j) {
    unsigned parity = 0;
    for (unsigned i = 0; i < 7; ++i)
        parity ^= seven >> i & 1;
    return j < 7 ? seven >> j & 1 : parity;
}
Exact with_sign(double value, bool minus) { return one(minus ? -value : value); }

// 28 bits of signs, four of scale.
double top_scale(uint32_t word) { return 0.5 + (word >> 28); }

Exact iq2_xxs(const uint8_t *b, uint64_t e) {
    const uint8_t *run = b + 2 + e / 32 * 8;
    const auto word = load<uint32_t>(run + 4);
    const uint64_t group = e % 32 / 8;
    return with_sign(half_at(b) * top_scale(word) / 4 * level_2(kGrid2XXS[run[group]], e % 8),
                     minus_of_seven(word >> (7 * group) & 127, e % 8));
}
Exact iq2_xs(const uint8_t *b, uint64_t e) {
    const auto word = load<uint16_t>(b + 2 + e / 8 * 2);
    const double scale = 0.5 + bits(b[66 + e / 32], e % 32 < 16 ? 0 : 4, 4);
    return with_sign(half_at(b) * scale / 4 * level_2(kGrid2XS[word & 511], e % 8),
                     minus_of_seven(word >> 9, e % 8));
}
Exact iq2_s(const uint8_t *b, uint64_t e) {
    const uint64_t g = e / 8;
    const int code = b[2 + g] + 256 * bits(b[66 + g / 4], static_cast<int>(g % 4 * 2), 2);
    const double scale = 0.5 + bits(b[74 + e / 32], e % 32 < 16 ? 0 : 4, 4);
    return with_sign(half_at(b) * scale / 4 * level_2(kGrid2S[code], e % 8),
                     bits(b[34 + g], static_cast<int>(e % 8), 1));
}
Exact iq3_xxs(const uint8_t *b, uint64_t e) {
    const auto word = load<uint32_t>(b + 66 + e / 32 * 4);
    return with_sign(half_at(b) * top_scale(word) / 2 * level_3xxs(b[2 + e / 4], e % 4),
                     minus_of_seven(word >> (7 * (e % 32 / 8)) & 127, e % 8));
}
Exact iq3_s(const uint8_t *b, uint64_t e) {
    const uint64_t g = e / 4;
    const int code = b[2 + g] + 256 * bits(b[66 + g / 8], static_cast<int>(g % 8), 1);
    const int scale = 1 + 2 * bits(b[106 + e / 64], e % 64 < 32 ? 0 : 4, 4);
    return with_sign(half_at(b) * scale * level_3s(static_cast<uint64_t>(code), e % 4),
                     bits(b[74 + e / 8], static_cast<int>(e % 8), 1));
}

Exact grid_1(double scale, int code, bool down, uint64_t j) {
    const int level = (kGrid1[code] >> (2 * j) & 3) - 1;
    return two(scale * level, scale * (down ? 0.125 : -0.125));
}
Exact iq1_s(const uint8_t *b, uint64_t e) {
    const auto word = load<uint16_t>(b + 34 + e / 32 * 2);
    const int code = b[2 + e / 8] + 256 * (word >> (3 * (e % 32 / 8)) & 7);
    return grid_1(half_at(b) * (2 * (word >> 12 & 7) + 1), code, word >> 15, e % 8);
}
Exact iq1_m(const uint8_t *b, uint64_t e) {
    uint16_t d = 0;
    for (int i = 0; i < 4; ++i)
        d = static_cast<uint16_t>(d | bits(b[49 + 2 * i], 4, 4) << (4 * i));
    const int nibble = bits(b[32 + e / 16], e % 16 < 8 ? 0 : 4, 4);
    const auto word = load<uint16_t>(b + 48 + e / 64 * 2);
    const int scale = 2 * (word >> (3 * (e % 64 / 16)) & 7) + 1;
    return grid_1(exact_f16(d) * scale, b[e / 8] + 256 * (nibble & 7), nibble >> 3, e % 8);
}

// Digit n, most significant first, of the number below 243 that byte * 243 / 256 stands for.
int trit(uint8_t byte, uint64_t n) {
    double fraction = byte / 256.0;
    for (uint64_t i = 0; i < n; ++i)
        fraction = fraction * 3 - std::floor(fraction * 3);
    return static_cast<int>(std::floor(fraction * 3));
}
Exact tq1_0(const uint8_t *b, uint64_t e) {
    const int level = e < 160   ? trit(b[e % 32], e / 32)
                      : e < 240 ? trit(b[32 + (e - 160) % 16], (e - 160) / 16)
                                : trit(b[48 + (e - 240) % 4], (e - 240) / 4);
    return one(half_at(b + 52) * (level - 1));
}
Exact tq2_0(const uint8_t *b, uint64_t e) {
    return one(half_at(b + 64) *
               (bits(b[e / 128 * 32 + e % 32], static_cast<int>(e % 128 / 32 * 2), 2) - 1));
}

Exact mxfp4(const uint8_t *b, uint64_t e) {
    const int code = nibble32(b + 1, e);
    const double magnitude = std::array{0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0}[code & 7];
    return with_sign(std::ldexp(magnitude, b[0] - 127), code & 8);
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
    {DType::Q8_0, q8_0_at<2>, {0}, 1},   {DType::Q4_0, q4_0, {0}, 1},
    {DType::Q4_1, q4_1, {0, 2}, 2},      {DType::Q5_0, q5_0, {0}, 1},
    {DType::Q5_1, q5_1, {0, 2}, 2},      {DType::Q2_K, q2_k, {80, 82}, 2},
    {DType::Q3_K, q3_k, {108}, 1},       {DType::Q4_K, q4_k, {0, 2}, 2},
    {DType::Q5_K, q5_k, {0, 2}, 2},      {DType::Q6_K, q6_k, {208}, 1},
    {DType::Q8_K, q8_k, {}, 0},          {DType::IQ4_NL, iq4_nl, {0}, 1},
    {DType::IQ4_XS, iq4_xs, {0}, 1},     {DType::Q8_1, q8_0_at<4>, {0, 2}, 2},
    {DType::IQ2_XXS, iq2_xxs, {0}, 1},   {DType::IQ2_XS, iq2_xs, {0}, 1},
    {DType::IQ2_S, iq2_s, {0}, 1},       {DType::IQ3_XXS, iq3_xxs, {0}, 1},
    {DType::IQ3_S, iq3_s, {0}, 1},       {DType::IQ1_S, iq1_s, {0}, 1},
    {DType::IQ1_M, iq1_m, {}, 0},        {DType::TQ1_0, tq1_0, {52}, 1},
    {DType::TQ2_0, tq2_0, {64}, 1},      {DType::MXFP4, mxfp4, {}, 0},
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
