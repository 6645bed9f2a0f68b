// The quantised weight types: how a block becomes bytes, scales and offsets, and how a block's dot
// product with 8-bit activations is formed. Layouts are those of GGUF.
//
// Each type is a struct with
//   kElements, kBytes   of a block
//   kGroup              elements that share a scale: 32 or 16
//   kWide               bytes are signed and use the full range
//   kOffset             value = scale * (byte - kOffset); 0 for types with kMins
//   kMins               value = scale * byte - min
//   unpack              all bytes, scales and mins of a block
//   dot                 adds block * x to `acc` and its correction to `correction`;
//                       total = sum of acc - kCorrection * sum of correction
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

static inline float half_at(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return half_to_float(h);
}

// f16 d | 32 x i8
struct Q8_0 {
    static constexpr int kElements = 32, kBytes = 34, kGroup = 32, kOffset = 0;
    static constexpr bool kWide = true, kMins = false;
    static constexpr float kCorrection = 0.0f;

    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        bytes[0] = b32_load(w + 2);
        scales[0] = half_at(w);
    }
    static inline void dot(const uint8_t *w, const Q8Row &x, uint64_t block, F8 &acc, F8 &) {
        const I8 s = b32_dot_signed(b32_load(w + 2), b32_load(x.q + 32 * block));
        acc = f8_fma(f8_from(s), f8_set1(half_at(w) * x.d[block]), acc);
    }
};

// f16 d | 16 bytes: element i in the low nibble of byte i, element 16 + i in the high one; offset 8
struct Q4_0 {
    static constexpr int kElements = 32, kBytes = 18, kGroup = 32, kOffset = 8;
    static constexpr bool kWide = false, kMins = false;
    static constexpr float kCorrection = 8.0f;

    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        bytes[0] = b32_nibbles(w + 2);
        scales[0] = half_at(w);
    }
    static inline void dot(const uint8_t *w, const Q8Row &x, uint64_t block, F8 &acc,
                           F8 &correction) {
        const float d = half_at(w);
        const I8 s = b32_dot(b32_nibbles(w + 2), b32_load(x.q + 32 * block));
        acc = f8_fma(f8_from(s), f8_set1(d * x.d[block]), acc);
        // One eighth in each of 8 lanes.
        correction = f8_fma(f8_set1(d), f8_set1(0.125f * x.ds[block]), correction);
    }
};

// f16 d | f16 dmin | 12 bytes with 8 scales and 8 mins of 6 bits | 4 x 32 bytes, each with 32 low
// and then 32 high nibbles; value = d * scale * nibble - dmin * min
struct Q4_K {
    static constexpr int kElements = 256, kBytes = 144, kGroup = 32, kOffset = 0;
    static constexpr bool kWide = false, kMins = true;
    static constexpr float kCorrection = 1.0f;

    // Scales in bytes 0..7, mins in bytes 8..15.
    static inline void unpack_scales(const uint8_t *w, uint8_t *out) {
        uint32_t in[3];
        memcpy(in, w + 4, 12);
        const uint32_t result[4] = {
            in[0] & 0x3f3f3f3fu,
            (in[2] & 0x0f0f0f0fu) | (in[0] >> 6 & 0x03030303u) << 4,
            in[1] & 0x3f3f3f3fu,
            (in[2] >> 4 & 0x0f0f0f0fu) | (in[1] >> 6 & 0x03030303u) << 4,
        };
        memcpy(out, result, 16);
    }
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *mins) {
        uint8_t packed[16];
        unpack_scales(w, packed);
        f8_store(scales, f8_mul(f8_from_u8(packed), f8_set1(half_at(w))));
        f8_store(mins, f8_mul(f8_from_u8(packed + 8), f8_set1(half_at(w + 2))));
        for (int j = 0; j < 4; ++j) {
            const B32 raw = b32_load(w + 16 + 32 * j);
            bytes[2 * j] = b32_low_nibbles(raw);
            bytes[2 * j + 1] = b32_high_nibbles(raw);
        }
    }
    static inline void dot(const uint8_t *w, const Q8Row &x, uint64_t block, F8 &acc,
                           F8 &correction) {
        uint8_t packed[16];
        unpack_scales(w, packed);
        const F8 d = f8_mul(f8_load(x.d + 8 * block), f8_set1(half_at(w)));
        float scales[8];
        f8_store(scales, f8_mul(f8_from_u8(packed), d));
        const F8 mins = f8_mul(f8_from_u8(packed + 8), f8_set1(half_at(w + 2)));
        correction = f8_fma(mins, f8_load(x.ds + 8 * block), correction);
        const int8_t *q = x.q + 256 * block;
        for (int j = 0; j < 4; ++j) {
            const B32 raw = b32_load(w + 16 + 32 * j);
            const I8 low = b32_dot(b32_low_nibbles(raw), b32_load(q + 64 * j));
            const I8 high = b32_dot(b32_high_nibbles(raw), b32_load(q + 64 * j + 32));
            acc = f8_fma(f8_from(low), f8_set1(scales[2 * j]), acc);
            acc = f8_fma(f8_from(high), f8_set1(scales[2 * j + 1]), acc);
        }
    }
};

// 128 bytes of low 4 bits | 64 bytes of high 2 bits | 16 x i8 scales, each for 16 elements | f16 d;
// offset 32. In each half of 128 elements, elements 32 j + i (j < 4) take nibble j / 2 of low byte
// 32 (j % 2) + i and bits 2j of high byte i.
struct Q6_K {
    static constexpr int kElements = 256, kBytes = 210, kGroup = 16, kOffset = 32;
    static constexpr bool kWide = false, kMins = false;
    static constexpr float kCorrection = 32.0f;

    static inline void unpack_half(const uint8_t *w, int half, B32 *bytes) {
        const B32 a = b32_load(w + 64 * half), b = b32_load(w + 64 * half + 32);
        const B32 high = b32_load(w + 128 + 32 * half);
        bytes[0] = b32_or(b32_low_nibbles(a), b32_crumbs_x16<0>(high));
        bytes[1] = b32_or(b32_low_nibbles(b), b32_crumbs_x16<1>(high));
        bytes[2] = b32_or(b32_high_nibbles(a), b32_crumbs_x16<2>(high));
        bytes[3] = b32_or(b32_high_nibbles(b), b32_crumbs_x16<3>(high));
    }
    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        unpack_half(w, 0, bytes);
        unpack_half(w, 1, bytes + 4);
        const float d = half_at(w + 208);
        for (int i = 0; i < 16; ++i)
            scales[i] = d * static_cast<float>(static_cast<int8_t>(w[192 + i]));
    }
    static inline void dot(const uint8_t *w, const Q8Row &x, uint64_t block, F8 &acc,
                           F8 &correction) {
        const int8_t *factors = reinterpret_cast<const int8_t *>(w + 192);
        const F8 d = f8_mul(f8_load(x.d + 8 * block), f8_set1(half_at(w + 208)));
        const I8 offsets = madd16(factors, x.sums + 16 * block);
        correction = f8_fma(f8_from(offsets), d, correction);
        float scales[8];
        f8_store(scales, d);
        for (int half = 0; half < 2; ++half) {
            B32 bytes[4];
            unpack_half(w, half, bytes);
            for (int j = 0; j < 4; ++j) {
                const int g = 4 * half + j;
                const I8 s = b32_dot(bytes[j], b32_load(x.q + 256 * block + 32 * g));
                const F8 factor = f8_halves(scales[g] * static_cast<float>(factors[2 * g]),
                                            scales[g] * static_cast<float>(factors[2 * g + 1]));
                acc = f8_fma(f8_from(s), factor, acc);
            }
        }
    }
};

} // namespace realizar::cpu::RZ_CPU_ISA
