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
//   kAtOnce             blocks that Sum::add folds in
//   Sum                 a dot product in the making; with kAtOnce of 2, add_last takes an odd block
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
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = true, kMins = false;

    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        bytes[0] = b32_load(w + 2);
        scales[0] = half_at(w);
    }
    struct Sum {
        F8 acc = f8_set1(0.0f);
        inline void add(const uint8_t *w, const Q8Row &x, uint64_t block) {
            const I8 s = b32_dot_signed(b32_load(w + 2), b32_load(x.q + 32 * block));
            acc = f8_fma(f8_from(s), f8_set1(half_at(w) * x.d[block]), acc);
        }
        inline float total() const { return f8_reduce_add(acc); }
    };
};

// f16 d | 16 bytes: element i in the low nibble of byte i, element 16 + i in the high one; offset 8
struct Q4_0 {
    static constexpr int kElements = 32, kBytes = 18, kGroup = 32, kOffset = 8;
    static constexpr uint64_t kAtOnce = 2;
    static constexpr bool kWide = false, kMins = false;

    static inline void unpack(const uint8_t *w, B32 *bytes, float *scales, float *) {
        bytes[0] = b32_nibbles(w + 2);
        scales[0] = half_at(w);
    }
    struct Sum {
        F16L acc = f16l_zero();
        float offsets = 0.0f;
        inline void add(const uint8_t *w, const Q8Row &x, uint64_t block) {
            const float d0 = half_at(w), d1 = half_at(w + kBytes);
            const B64 bytes = b64_nibbles(w + 2, w + kBytes + 2);
            const I16L s = b64_dot(bytes, b64_load(x.q + 32 * block));
            acc = f16l_fma(f16l_from(s), f16l_halves(d0 * x.d[block], d1 * x.d[block + 1]), acc);
            offsets += d0 * x.ds[block] + d1 * x.ds[block + 1];
        }
        inline void add_last(const uint8_t *w, const Q8Row &x, uint64_t block) {
            const float d = half_at(w);
            const I8 s = b32_dot(b32_nibbles(w + 2), b32_load(x.q + 32 * block));
            offsets -= d * x.d[block] * f8_reduce_add(f8_from(s)) / kOffset;
            offsets += d * x.ds[block];
        }
        inline float total() const { return f16l_reduce_add(acc) - kOffset * offsets; }
    };
};

// f16 d | f16 dmin | 12 bytes with 8 scales and 8 mins of 6 bits | 4 x 32 bytes, each with 32 low
// and then 32 high nibbles; value = d * scale * nibble - dmin * min
struct Q4_K {
    static constexpr int kElements = 256, kBytes = 144, kGroup = 32, kOffset = 0;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = false, kMins = true;

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
    struct Sum {
        F16L acc = f16l_zero();
        F8 mins = f8_set1(0.0f);

        template <int J>
        inline void add_pair(const uint8_t *w, const int8_t *q, F8 scales) {
            const I16L s = b64_dot(b64_split_nibbles(w + 16 + 32 * J), b64_load(q + 64 * J));
            acc = f16l_fma(f16l_from(s), f16l_spread8<J>(scales), acc);
        }
        inline void add(const uint8_t *w, const Q8Row &x, uint64_t block) {
            uint8_t packed[16];
            unpack_scales(w, packed);
            const F8 d = f8_mul(f8_load(x.d + 8 * block), f8_set1(half_at(w)));
            const F8 ds = f8_mul(f8_load(x.ds + 8 * block), f8_set1(half_at(w + 2)));
            const F8 scales = f8_mul(f8_from_u8(packed), d);
            mins = f8_fma(f8_from_u8(packed + 8), ds, mins);
            const int8_t *q = x.q + 256 * block;
            add_pair<0>(w, q, scales);
            add_pair<1>(w, q, scales);
            add_pair<2>(w, q, scales);
            add_pair<3>(w, q, scales);
        }
        inline float total() const { return f16l_reduce_add(acc) - f8_reduce_add(mins); }
    };
};

// 128 bytes of low 4 bits | 64 bytes of high 2 bits | 16 x i8 scales, each for 16 elements | f16 d;
// offset 32. In each half of 128 elements, elements 32 j + i (j < 4) take nibble j / 2 of low byte
// 32 (j % 2) + i and bits 2j of high byte i.
struct Q6_K {
    static constexpr int kElements = 256, kBytes = 210, kGroup = 16, kOffset = 32;
    static constexpr uint64_t kAtOnce = 1;
    static constexpr bool kWide = false, kMins = false;

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
    struct Sum {
        F16L acc = f16l_zero();
        F8 offsets = f8_set1(0.0f);

        template <int HALF>
        inline void add_half(const uint8_t *w, const int8_t *q, F16L scales) {
            const B64 raw = b64_load(w + 64 * HALF);
            const uint8_t *high = w + 128 + 32 * HALF;
            const B64 a = b64_or(b64_low_nibbles(raw), b64_split_crumbs_x16<0>(high));
            const B64 b = b64_or(b64_high_nibbles(raw), b64_split_crumbs_x16<1>(high));
            const I16L low = b64_dot(a, b64_load(q + 128 * HALF));
            const I16L up = b64_dot(b, b64_load(q + 128 * HALF + 64));
            acc = f16l_fma(f16l_from(low), f16l_spread4<2 * HALF>(scales), acc);
            acc = f16l_fma(f16l_from(up), f16l_spread4<2 * HALF + 1>(scales), acc);
        }
        inline void add(const uint8_t *w, const Q8Row &x, uint64_t block) {
            const int8_t *factors = reinterpret_cast<const int8_t *>(w + 192);
            const F8 d = f8_mul(f8_load(x.d + 8 * block), f8_set1(half_at(w + 208)));
            offsets = f8_fma(f8_from(madd16(factors, x.sums + 16 * block)), d, offsets);
            const F16L scales = f16l_mul(f16l_from_i8(factors), f16l_twice(d));
            add_half<0>(w, x.q + 256 * block, scales);
            add_half<1>(w, x.q + 256 * block, scales);
        }
        inline float total() const {
            return f16l_reduce_add(acc) - kOffset * f8_reduce_add(offsets);
        }
    };
};

} // namespace realizar::cpu::RZ_CPU_ISA
