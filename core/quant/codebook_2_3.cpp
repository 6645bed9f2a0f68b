// Superblocks of 256 elements whose magnitudes come in groups from a grid, with their signs apart:
// IQ2_XXS, IQ2_XS and IQ2_S (groups of 8), IQ3_XXS and IQ3_S (groups of 4). Read only.
#include "core/quant/block.h"
#include "core/quant/grids.h"

#include <bit>

namespace realizar {
namespace {

constexpr uint64_t kSuper = 256, kRun = 32; // a run has four groups of 8 elements

// Bit i is the sign of element i of 8.
void put_signed(const float *magnitudes, unsigned signs, float scale, float *out) {
    for (uint64_t i = 0; i < 8; ++i)
        out[i] = scale * (signs >> i & 1 ? -magnitudes[i] : magnitudes[i]);
}

void put_8(unsigned row, unsigned signs, float scale, float *out) {
    static constexpr float kMagnitudes[4] = {8, 25, 43, 0}; // the grids do not use the last
    float magnitudes[8];
    for (uint64_t i = 0; i < 8; ++i)
        magnitudes[i] = kMagnitudes[row >> (2 * i) & 3];
    put_signed(magnitudes, signs, scale, out);
}

void put_4_and_4(const float *levels, unsigned first, unsigned second, unsigned signs, float scale,
                 float *out) {
    float magnitudes[8];
    for (uint64_t i = 0; i < 4; ++i) {
        magnitudes[i] = levels[first >> (3 * i) & 7];
        magnitudes[i + 4] = levels[second >> (3 * i) & 7];
    }
    put_signed(magnitudes, signs, scale, out);
}

// Signs in seven bits: the eighth makes the number of minus signs even.
unsigned even_signs(unsigned seven) {
    seven &= 127;
    return seven | (static_cast<unsigned>(std::popcount(seven)) & 1) << 7;
}

unsigned nibble(const uint8_t *bytes, uint64_t i) { return bytes[i / 2] >> (i % 2 * 4) & 15u; }

// A run's 32 bits of signs (four times seven) and, on top, its scale of four bits.
struct SignsAndScale {
    uint8_t bytes[4];
    uint32_t word() const {
        uint32_t value;
        std::memcpy(&value, bytes, sizeof value);
        return value;
    }
    unsigned signs(uint64_t group) const { return even_signs(word() >> (7 * group)); }
    float scale() const { return 0.5f + static_cast<float>(word() >> 28); }
};

struct IQ2_XXS {
    static constexpr uint64_t kElements = kSuper;
    uint16_t d;
    struct {
        uint8_t codes[4];
        SignsAndScale signs;
    } runs[kSuper / kRun];

    void decode(float *out) const {
        for (const auto &run : runs) {
            const float scale = f16_to_f32(d) * run.signs.scale() * 0.25f;
            for (uint64_t g = 0; g < 4; ++g, out += 8)
                put_8(kGrid2XXS[run.codes[g]], run.signs.signs(g), scale, out);
        }
    }
};

// The scales of IQ2_XS and IQ2_S: one of four bits for each 16 elements.
float scale_2(uint16_t d, const uint8_t *scales, uint64_t group) {
    return f16_to_f32(d) * (0.5f + static_cast<float>(nibble(scales, group / 2))) * 0.25f;
}

// Nine bits of code and seven of signs in each word.
struct IQ2_XS {
    static constexpr uint64_t kElements = kSuper;
    uint16_t d;
    uint16_t groups[kSuper / 8];
    uint8_t scales[8];

    void decode(float *out) const {
        for (uint64_t g = 0; g < kSuper / 8; ++g)
            put_8(kGrid2XS[groups[g] & 511], even_signs(groups[g] >> 9), scale_2(d, scales, g),
                  out + 8 * g);
    }
};

// Ten bits of code: eight in `low`, two in `high`.
struct IQ2_S {
    static constexpr uint64_t kElements = kSuper;
    uint16_t d;
    uint8_t low[32];
    uint8_t signs[32];
    uint8_t high[8];
    uint8_t scales[8];

    void decode(float *out) const {
        for (uint64_t g = 0; g < kSuper / 8; ++g) {
            const unsigned code = low[g] | (high[g / 4] >> (g % 4 * 2) & 3u) << 8;
            put_8(kGrid2S[code], signs[g], scale_2(d, scales, g), out + 8 * g);
        }
    }
};

struct IQ3_XXS {
    static constexpr uint64_t kElements = kSuper;
    static constexpr float kMagnitudes[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    uint16_t d;
    uint8_t codes[kSuper / 4];
    SignsAndScale runs[kSuper / kRun];

    void decode(float *out) const {
        for (uint64_t g = 0; g < kSuper / 8; ++g) {
            const SignsAndScale &run = runs[g / 4];
            put_4_and_4(kMagnitudes, kGrid3XXS[codes[2 * g]], kGrid3XXS[codes[2 * g + 1]],
                        run.signs(g % 4), f16_to_f32(d) * run.scale() * 0.5f, out + 8 * g);
        }
    }
};

// Nine bits of code: eight in `low`, the ninth of group i in bit i of `high`. A scale of four bits for
// each run.
struct IQ3_S {
    static constexpr uint64_t kElements = kSuper;
    static constexpr float kMagnitudes[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    uint16_t d;
    uint8_t low[kSuper / 4];
    uint8_t high[8];
    uint8_t signs[32];
    uint8_t scales[4];

    unsigned row(uint64_t i) const { return kGrid3S[low[i] | (high[i / 8] >> i % 8 & 1u) << 8]; }

    void decode(float *out) const {
        for (uint64_t g = 0; g < kSuper / 8; ++g) {
            const auto code = static_cast<float>(1 + 2 * nibble(scales, g / 4));
            put_4_and_4(kMagnitudes, row(2 * g), row(2 * g + 1), signs[g], f16_to_f32(d) * code,
                        out + 8 * g);
        }
    }
};

} // namespace

constexpr Codec kIQ2_XXSCodec = block_codec<DType::IQ2_XXS, IQ2_XXS>();
constexpr Codec kIQ2_XSCodec = block_codec<DType::IQ2_XS, IQ2_XS>();
constexpr Codec kIQ2_SCodec = block_codec<DType::IQ2_S, IQ2_S>();
constexpr Codec kIQ3_XXSCodec = block_codec<DType::IQ3_XXS, IQ3_XXS>();
constexpr Codec kIQ3_SCodec = block_codec<DType::IQ3_S, IQ3_S>();

} // namespace realizar
