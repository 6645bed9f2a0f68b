// The other element types to floats: rows of tables and caches.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

struct Float32 {
    static constexpr int kBytes = 4;
    static inline F load(const uint8_t *p) {
        return RZ_CPU_ISA::load(reinterpret_cast<const float *>(p));
    }
};
struct Float16 {
    static constexpr int kBytes = 2;
    static inline F load(const uint8_t *p) {
        return load_f16(reinterpret_cast<const uint16_t *>(p));
    }
};
struct BFloat16 {
    static constexpr int kBytes = 2;
    static inline F load(const uint8_t *p) {
        return load_bf16(reinterpret_cast<const uint16_t *>(p));
    }
};

// n < kLanes elements of a float type, zeros behind.
template <class T>
static inline F load_tail(const uint8_t *p, uint64_t n) {
    uint8_t copy[4 * kLanes] = {};
    memcpy(copy, p, n * T::kBytes);
    return T::load(copy);
}

template <class T>
static void decode_float(const uint8_t *x, float *y, uint64_t n) {
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        const uint8_t *p = x + i * T::kBytes;
        store_some(y + i, c == kLanes ? T::load(p) : load_tail<T>(p, c), c);
    });
}

template <class T>
static void decode_blocks(const uint8_t *x, float *y, uint64_t n) {
    constexpr int groups = T::kElements / 32, per_group = 32 / T::kGroup;
    for (uint64_t b = 0; b < n / T::kElements; ++b) {
        B32 bytes[groups];
        float scales[groups * per_group], mins[groups];
        T::unpack(x + b * T::kBytes, bytes, scales, mins);
        for (int g = 0; g < groups; ++g) {
            uint8_t raw[32];
            b32_store(raw, bytes[g]);
            float *out = y + b * T::kElements + 32 * g;
            for (int i = 0; i < 32; ++i) {
                const int value = T::kWide ? static_cast<int8_t>(raw[i]) : raw[i] - T::kOffset;
                out[i] = static_cast<float>(value) * scales[g * per_group + i / T::kGroup];
                if (T::kMins) out[i] -= mins[g];
            }
        }
    }
}

} // namespace realizar::cpu::RZ_CPU_ISA
