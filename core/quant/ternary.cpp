// Superblocks of 256 elements with the levels -1, 0 and 1 and one scale: x = d q. TQ1_0 packs five
// levels into a byte, TQ2_0 four.
#include "core/quant/block.h"
#include "core/quant/scale_search.h"

#include <array>
#include <cmath>

namespace realizar {
namespace {

constexpr uint64_t kSuper = 256;

// The best scale for levels of -1, 0 and 1. If the k largest magnitudes get a level, the least-squares
// scale is their weighted mean and what it explains is (sum w |x|)^2 / sum w: the best k of all is the
// best choice altogether.
float ternary_scale(const float *values, const float *importance) {
    std::array<float, kSuper> weights;
    error_weights({values, kSuper}, importance, weights.data());
    std::array<uint16_t, kSuper> order;
    for (uint16_t i = 0; i < kSuper; ++i) {
        if (!std::isfinite(values[i])) return 0;
        order[i] = i;
    }
    std::ranges::sort(order, {}, [&](uint16_t i) { return -std::fabs(values[i]); });
    float products = 0, sum = 0, best_gain = 0, best = 0;
    for (const uint16_t i : order) {
        products += weights[i] * std::fabs(values[i]);
        sum += weights[i];
        const float gain = sum > 0 ? products * products / sum : 0;
        if (gain > best_gain) {
            best_gain = gain;
            best = products / sum;
        }
    }
    return best;
}

// Levels + 1: 0, 1 or 2.
void assign_levels(const float *values, uint16_t d, uint8_t *levels) {
    const float inverse = safe_inverse(f16_to_f32(d));
    for (uint64_t i = 0; i < kSuper; ++i)
        levels[i] = static_cast<uint8_t>(clamp_level(values[i] * inverse, -1, 1) + 1);
}

float value_of(uint16_t d, unsigned level) {
    return f16_to_f32(d) * (static_cast<float>(level) - 1);
}

// A byte of TQ1_0 is the fraction of 256 whose digits to base 3 are the levels, most significant first:
// digit n is the whole part of 3 times the fraction that is left after multiplying by 3^n.
constexpr unsigned kPowers[5] = {1, 3, 9, 27, 81};
constexpr unsigned digit(uint8_t byte, uint64_t n) { return (byte * kPowers[n] % 256) * 3 / 256; }
// The smallest fraction with these five digits, which is what keeps them when it is rounded up.
constexpr uint8_t pack_digits(unsigned number) { // below 243
    return static_cast<uint8_t>((number * 256 + 242) / 243);
}

// Bytes 0 to 31 hold elements 0 to 159, 16 more those up to 239, the last 4 the remaining 16: digit n of
// byte i is element i + n * (number of the bytes).
struct TQ1_0 {
    static constexpr uint64_t kElements = kSuper;
    struct Part {
        uint64_t first_byte, bytes, digits, first;
    };
    static constexpr Part kParts[] = {{0, 32, 5, 0}, {32, 16, 5, 160}, {48, 4, 4, 240}};
    uint8_t packed[52];
    uint16_t d;

    void decode(float *out) const {
        for (const Part &p : kParts)
            for (uint64_t n = 0; n < p.digits; ++n)
                for (uint64_t i = 0; i < p.bytes; ++i)
                    *out++ = value_of(d, digit(packed[p.first_byte + i], n));
    }

    void encode(const float *values, const float *importance) {
        d = f16_scale(ternary_scale(values, importance));
        uint8_t levels[kSuper];
        assign_levels(values, d, levels);
        for (const Part &p : kParts)
            for (uint64_t i = 0; i < p.bytes; ++i) {
                unsigned number = 0;
                for (uint64_t n = 0; n < 5; ++n)
                    number = 3 * number + (n < p.digits ? levels[p.first + n * p.bytes + i] : 0);
                packed[p.first_byte + i] = pack_digits(number);
            }
    }
};

// Element e = 128 h + 32 r + i (r = 0 to 3) is in byte 32 h + i at bit 2 r.
struct TQ2_0 {
    static constexpr uint64_t kElements = kSuper;
    uint8_t pairs[64];
    uint16_t d;

    void decode(float *out) const {
        for (uint64_t e = 0; e < kSuper; ++e)
            out[e] = value_of(d, pairs[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2) & 3u);
    }

    void encode(const float *values, const float *importance) {
        d = f16_scale(ternary_scale(values, importance));
        uint8_t levels[kSuper];
        assign_levels(values, d, levels);
        for (uint64_t e = 0; e < kSuper; ++e) {
            uint8_t &byte = pairs[e / 128 * 32 + e % 32];
            byte = static_cast<uint8_t>(byte | levels[e] << (e % 128 / 32 * 2));
        }
    }
};

} // namespace

constexpr Codec kTQ1_0Codec = block_codec<DType::TQ1_0, TQ1_0>();
constexpr Codec kTQ2_0Codec = block_codec<DType::TQ2_0, TQ2_0>();

} // namespace realizar
