// Blocks of 32 elements with one float16 scale d, and in the _1 types a float16 minimum m:
// Q8_0, Q8_1, Q4_0, Q4_1, Q5_0 and Q5_1.
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <cmath>

namespace realizar {
namespace {

constexpr uint64_t kBlock = 32;

void decode_bytes(uint16_t d, const int8_t *q, float *out) {
    const float scale = f16_to_f32(d);
    for (uint64_t i = 0; i < kBlock; ++i)
        out[i] = scale * q[i];
}

// Returns the scale. With 255 levels a search gains nothing that can be seen: the peak gets the highest
// level.
uint16_t encode_bytes(const float *values, int8_t *q) {
    float peak = 0;
    for (uint64_t i = 0; i < kBlock; ++i)
        peak = std::max(peak, std::fabs(values[i]));
    const uint16_t d = f16_scale(peak / 127);
    const float inverse = safe_inverse(f16_to_f32(d));
    for (uint64_t i = 0; i < kBlock; ++i)
        q[i] = static_cast<int8_t>(clamp_level(values[i] * inverse, -127, 127));
    return d;
}

// x = d q, q of [-127, 127].
struct Q8_0 {
    static constexpr uint64_t kElements = kBlock;
    uint16_t d;
    int8_t q[kBlock];

    void decode(float *out) const { decode_bytes(d, q, out); }
    void encode(const float *values, const float *) { d = encode_bytes(values, q); }
};

// The same with d times the sum of the levels, for the minima of the other operand: made for
// activations.
struct Q8_1 {
    static constexpr uint64_t kElements = kBlock;
    uint16_t d, sum;
    int8_t q[kBlock];

    void decode(float *out) const { decode_bytes(d, q, out); }
    void encode(const float *values, const float *) {
        d = encode_bytes(values, q);
        int levels = 0;
        for (const int8_t level : q)
            levels += level;
        sum = f32_to_f16(f16_to_f32(d) * static_cast<float>(levels));
    }
};

// Four bits per level: byte i holds elements i (low nibble) and i + 16 (high nibble).
struct Nibbles {
    uint8_t bytes[kBlock / 2];
    unsigned get(uint64_t i) const { return bytes[i % 16] >> (i / 16 * 4) & 15u; }
    void put(uint64_t i, unsigned level) { // into zeros
        bytes[i % 16] = static_cast<uint8_t>(bytes[i % 16] | level << (i / 16 * 4));
    }
};

// Five bits per level: the fifth of element i is bit i of a little-endian word before the nibbles.
struct FiveBits {
    uint8_t fifth[kBlock / 8];
    Nibbles low;
    unsigned get(uint64_t i) const { return low.get(i) | (fifth[i / 8] >> i % 8 & 1u) << 4; }
    void put(uint64_t i, unsigned level) {
        low.put(i, level & 15);
        fifth[i / 8] = static_cast<uint8_t>(fifth[i / 8] | level >> 4 << i % 8);
    }
};

// x = d (q - zero), where zero is the middle level: Q4_0 (8 of 16) and Q5_0 (16 of 32).
template <class Levels, int kZero>
struct Symmetric {
    static constexpr uint64_t kElements = kBlock;
    uint16_t d;
    Levels levels;

    void decode(float *out) const {
        const float scale = f16_to_f32(d);
        for (uint64_t i = 0; i < kBlock; ++i)
            out[i] = scale * static_cast<float>(static_cast<int>(levels.get(i)) - kZero);
    }

    void encode(const float *values, const float *importance) {
        float weights[kBlock];
        error_weights({values, kBlock}, importance, weights);
        d = f16_scale(fit_scale({values, kBlock}, weights, -kZero, kZero - 1));
        const float inverse = safe_inverse(f16_to_f32(d));
        for (uint64_t i = 0; i < kBlock; ++i)
            levels.put(i, static_cast<unsigned>(
                              clamp_level(values[i] * inverse, -kZero, kZero - 1) + kZero));
    }
};

// x = d q + m: Q4_1 (16 levels) and Q5_1 (32 levels).
template <class Levels, int kHigh>
struct WithMinimum {
    static constexpr uint64_t kElements = kBlock;
    uint16_t d, m;
    Levels levels;

    void decode(float *out) const {
        const float scale = f16_to_f32(d), minimum = f16_to_f32(m);
        for (uint64_t i = 0; i < kBlock; ++i)
            out[i] = scale * static_cast<float>(levels.get(i)) + minimum;
    }

    void encode(const float *values, const float *importance) {
        float weights[kBlock];
        error_weights({values, kBlock}, importance, weights);
        const Affine fit = fit_affine({values, kBlock}, weights, kHigh, Offset::any);
        d = f16_scale(fit.scale);
        m = f16_scale(fit.offset);
        const float inverse = safe_inverse(f16_to_f32(d)), minimum = f16_to_f32(m);
        for (uint64_t i = 0; i < kBlock; ++i)
            levels.put(
                i, static_cast<unsigned>(clamp_level((values[i] - minimum) * inverse, 0, kHigh)));
    }
};

} // namespace

constexpr Codec kQ8_0Codec = block_codec<DType::Q8_0, Q8_0>();
constexpr Codec kQ8_1Codec = block_codec<DType::Q8_1, Q8_1>();
constexpr Codec kQ4_0Codec = block_codec<DType::Q4_0, Symmetric<Nibbles, 8>>();
constexpr Codec kQ5_0Codec = block_codec<DType::Q5_0, Symmetric<FiveBits, 16>>();
constexpr Codec kQ4_1Codec = block_codec<DType::Q4_1, WithMinimum<Nibbles, 15>>();
constexpr Codec kQ5_1Codec = block_codec<DType::Q5_1, WithMinimum<FiveBits, 31>>();

} // namespace realizar
