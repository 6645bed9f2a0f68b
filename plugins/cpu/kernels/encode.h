// Floats to the other element types: rows of caches and activations.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

template <class Store>
static inline void encode_half(const float *x, uint16_t *y, uint64_t n, Store store_half) {
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        if (c == kLanes) return store_half(y + i, load(x + i));
        uint16_t lanes[kLanes];
        store_half(lanes, load_n(x + i, c));
        memcpy(y + i, lanes, c * 2);
    });
}
static void encode_f16(const float *x, uint16_t *y, uint64_t n) {
    count_call();
    encode_half(x, y, n, [](uint16_t *p, F a) { store_f16(p, a); });
}
static void encode_bf16(const float *x, uint16_t *y, uint64_t n) {
    count_call();
    encode_half(x, y, n, [](uint16_t *p, F a) { store_bf16(p, a); });
}

constexpr int kPer32 = 32 / kLanes;

static inline float max32(const float *x) {
    F top = zero();
    for (int i = 0; i < kPer32; ++i)
        top = max(abs(load(x + i * kLanes)), top);
    return reduce_max(top);
}

// 32 floats in units of d as bytes in -127..127; NaN counts as -127.
static inline void round32(const float *x, float d, int8_t *q, F *rounded) {
    const F inverse = set1(d != 0.0f ? 1.0f / d : 0.0f);
    for (int i = 0; i < kPer32; ++i) {
        const F v = round(load(x + i * kLanes) * inverse);
        rounded[i] = min(max(v, set1(-127.0f)), set1(127.0f));
        store_i8(q + i * kLanes, rounded[i]);
    }
}

// Sums of the two halves of 32 whole numbers.
static inline void sums16(const F *rounded, float *half) {
    for (int h = 0; h < 2; ++h) {
        F total = zero();
        for (int i = 0; i < kPer32 / 2; ++i)
            total = total + rounded[h * kPer32 / 2 + i];
        half[h] = reduce_add(total);
    }
}

// The bytes are nearest for the scale as it is stored, in f16.
static void encode_q8_0(const float *x, uint8_t *y, uint64_t n) {
    count_call();
    for (uint64_t b = 0; b < n / 32; ++b) {
        const float scale = max32(x + 32 * b) / 127.0f;
        const uint16_t d = float_to_half(scale < 65504.0f ? scale : 65504.0f);
        F rounded[kPer32];
        memcpy(y + 34 * b, &d, 2);
        round32(x + 32 * b, half_to_float(d), reinterpret_cast<int8_t *>(y + 34 * b + 2), rounded);
    }
}

static void quantize(const float *x, uint8_t *row, uint64_t k) {
    count_call();
    int8_t *q = reinterpret_cast<int8_t *>(row);
    float *d = reinterpret_cast<float *>(row + k);
    float *ds = d + k / 32;
    int16_t *sums = reinterpret_cast<int16_t *>(ds + k / 32);
    int32_t *negated = reinterpret_cast<int32_t *>(sums + k / 16);
    for (uint64_t b = 0; b < k / 32; ++b) {
        F rounded[kPer32];
        d[b] = max32(x + 32 * b) / 127.0f;
        round32(x + 32 * b, d[b], q + 32 * b, rounded);
        float half[2];
        sums16(rounded, half);
        for (uint64_t h = 0; h < 2; ++h)
            sums[2 * b + h] = static_cast<int16_t>(half[h]);
        ds[b] = d[b] * (half[0] + half[1]);
        negated[b] = -static_cast<int32_t>(half[0] + half[1]);
    }
}

static void quantize_long(const float *x, uint8_t *row, uint64_t k) {
    count_call();
    int8_t *q = reinterpret_cast<int8_t *>(row);
    int32_t *offsets = reinterpret_cast<int32_t *>(row + k);
    int16_t *sums16_of = reinterpret_cast<int16_t *>(offsets + k / 16);
    int16_t *sums = sums16_of + k / 16;
    float *d = reinterpret_cast<float *>(sums + k / 32);
    for (uint64_t block = 0; block < k / 256; ++block) {
        float top = 0.0f;
        for (uint64_t b = 8 * block; b < 8 * block + 8; ++b) {
            const float m = max32(x + 32 * b);
            top = m > top ? m : top;
        }
        d[block] = top / 127.0f;
        for (uint64_t b = 8 * block; b < 8 * block + 8; ++b) {
            F rounded[kPer32];
            round32(x + 32 * b, d[block], q + 32 * b, rounded);
            float half[2];
            sums16(rounded, half);
            for (uint64_t h = 0; h < 2; ++h) {
                sums16_of[2 * b + h] = static_cast<int16_t>(half[h]);
                offsets[2 * b + h] = -32 * static_cast<int32_t>(half[h]);
            }
            sums[b] = static_cast<int16_t>(half[0] + half[1]);
        }
    }
}

} // namespace realizar::cpu::RZ_CPU_ISA
