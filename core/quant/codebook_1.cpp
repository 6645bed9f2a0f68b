// Superblocks of 256 elements with levels -1, 0 and 1 taken eight at a time from a grid, each group
// shifted by an eighth up or down: x = scale (level + shift). IQ1_S and IQ1_M; read only.
#include "core/quant/block.h"
#include "core/quant/grids.h"

namespace realizar {
namespace {

constexpr uint64_t kSuper = 256, kGroup = 8;

void put_group(unsigned code, bool down, float scale, float *out) {
    const float shift = down ? -0.125f : 0.125f;
    for (uint64_t i = 0; i < kGroup; ++i)
        out[i] = scale * (static_cast<float>(kGrid1[code] >> (2 * i) & 3) - 1 + shift);
}

// Each word of `high` serves a run of 32: bits 3 g extend the code of group g, bits 12 to 14 are the
// scale, d (2 s + 1), and bit 15 shifts the run down.
struct IQ1_S {
    static constexpr uint64_t kElements = kSuper;
    uint16_t d;
    uint8_t low[32];
    uint16_t high[8];

    void decode(float *out) const {
        for (uint64_t group = 0; group < kSuper / kGroup; ++group) {
            const unsigned word = high[group / 4];
            const unsigned code = low[group] | (word >> (group % 4 * 3) & 7) << 8;
            const float scale = f16_to_f32(d) * static_cast<float>(2 * (word >> 12 & 7) + 1);
            put_group(code, word >> 15, scale, out + group * kGroup);
        }
    }
};

// Nibble g of `high` extends the code of group g (three bits) and shifts it down (the fourth). Each of
// the four words of `codes` holds four scales of 3 bits, one for each 16 elements; their upper nibbles
// put together are d.
struct IQ1_M {
    static constexpr uint64_t kElements = kSuper;
    uint8_t low[32];
    uint8_t high[16];
    uint16_t codes[4];

    void decode(float *out) const {
        unsigned bits = 0;
        for (unsigned i = 0; i < 4; ++i)
            bits |= (codes[i] >> 12 & 15u) << (4 * i);
        const float d = f16_to_f32(static_cast<uint16_t>(bits));
        for (uint64_t group = 0; group < kSuper / kGroup; ++group) {
            const unsigned nibble = high[group / 2] >> (group % 2 * 4) & 15u;
            const uint64_t sixteen = group / 2;
            const unsigned scale = codes[sixteen / 4] >> (sixteen % 4 * 3) & 7u;
            put_group(low[group] | (nibble & 7) << 8, nibble >> 3,
                      d * static_cast<float>(2 * scale + 1), out + group * kGroup);
        }
    }
};

} // namespace

constexpr Codec kIQ1_SCodec = block_codec<DType::IQ1_S, IQ1_S>();
constexpr Codec kIQ1_MCodec = block_codec<DType::IQ1_M, IQ1_M>();

} // namespace realizar
