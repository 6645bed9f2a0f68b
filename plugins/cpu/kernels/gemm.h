// Many rows of activations times one panel of kPanelRows rows of weights.
//
// The panel is packed first, in a scratch area that stays in the second-level cache while all rows
// of activations pass; lanes of the vectors are rows of weights, so there is no horizontal sum and
// each activation is a broadcast from memory. Packed layout of a quantised panel, per 32 elements:
//   bytes[8][kPanelRows][4]           8 steps of 4 elements: one dot4 per vector and token
//   float scales[32 / group][kPanelRows]
//   float mins[kPanelRows]            types with mins only
// of a float panel: float w[k][kPanelRows].
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

constexpr uint64_t kPanelRows = 2 * kLanes;

template <class T>
struct Panel {
    static constexpr uint64_t kBytes = 32 * kPanelRows;
    static constexpr uint64_t kScales = 32 / T::kGroup * kPanelRows;
    static constexpr uint64_t kGroupBytes = kBytes + 4 * kScales + (T::kMins ? 4 * kPanelRows : 0);
    static constexpr int kBias = T::kWide ? kByteBias : T::kOffset;
};

// Row by row within each block, so that the part being written stays in the first-level cache.
template <class T>
static inline void pack_panel(const GemmArgs &a) {
    using P = Panel<T>;
    constexpr uint64_t groups = T::kElements / 32, per_group = 32 / T::kGroup;
    if (a.rows < kPanelRows) memset(a.scratch, 0, a.k / 32 * P::kGroupBytes);
    for (uint64_t b = 0; b < a.k / T::kElements; ++b)
        for (uint64_t r = 0; r < a.rows; ++r) {
            const uint8_t *w = a.w + static_cast<int64_t>(r) * a.w_stride + b * T::kBytes;
            uint8_t *out = a.scratch + b * groups * P::kGroupBytes;
            B32 bytes[groups];
            float scales[groups * per_group], mins[groups];
            T::unpack(w, bytes, scales, mins);
            for (uint64_t g = 0; g < groups; ++g, out += P::kGroupBytes) {
                uint32_t quads[8];
                b32_store(quads, bytes[g]);
                for (uint64_t q = 0; q < 8; ++q) {
                    // Adding 128 to a byte flips its top bit.
                    const uint32_t quad = quads[q] ^ (T::kWide && kByteBias ? 0x80808080u : 0u);
                    memcpy(out + (q * kPanelRows + r) * 4, &quad, 4);
                }
                float *factors = reinterpret_cast<float *>(out + P::kBytes);
                for (uint64_t s = 0; s < per_group; ++s)
                    factors[s * kPanelRows + r] = scales[g * per_group + s];
                if (T::kMins) factors[P::kScales + r] = mins[g];
            }
        }
}

// Row r of the panel for the first `rows` of two vectors.
static inline void store_panel(float *y, F low, F high, uint64_t rows) {
    store_some(y, low, rows < kLanes ? rows : kLanes);
    if (rows > kLanes) store_some(y + kLanes, high, rows - kLanes);
}

// M tokens at once: 2 M accumulators of floats and 2 M of integers stay in registers.
template <class T, int M>
static inline void gemm_tokens(const GemmArgs &a, uint64_t token) {
    using P = Panel<T>;
    constexpr int steps = T::kGroup / 4, per_group = 32 / T::kGroup;
    Q8Row x[M];
    F low[M], high[M];
    for (int m = 0; m < M; ++m) {
        x[m] =
            q8_row(a.x + static_cast<int64_t>(token + static_cast<uint64_t>(m)) * a.x_stride, a.k);
        low[m] = high[m] = zero();
    }
    const uint8_t *w = a.scratch;
    for (uint64_t g = 0; g < a.k / 32; ++g, w += P::kGroupBytes) {
        const float *factors = reinterpret_cast<const float *>(w + P::kBytes);
        for (int s = 0; s < per_group; ++s) {
            I sum_low[M], sum_high[M];
            for (int m = 0; m < M; ++m) {
                int32_t start = 0;
                if (P::kBias) {
                    const int16_t *sums = x[m].sums + 2 * g;
                    start = -P::kBias * (per_group == 2 ? sums[s] : sums[0] + sums[1]);
                }
                sum_low[m] = sum_high[m] = iset1(start);
            }
            for (int step = s * steps; step < (s + 1) * steps; ++step) {
                const uint8_t *quad = w + static_cast<uint64_t>(step) * kPanelRows * 4;
                const I w_low = iload(quad), w_high = iload(quad + kLanes * 4);
                for (int m = 0; m < M; ++m) {
                    const I xs = broadcast4(x[m].q + 32 * g + 4 * static_cast<uint64_t>(step));
                    sum_low[m] =
                        T::kWide ? dot4_wide(sum_low[m], w_low, xs) : dot4(sum_low[m], w_low, xs);
                    sum_high[m] = T::kWide ? dot4_wide(sum_high[m], w_high, xs)
                                           : dot4(sum_high[m], w_high, xs);
                }
            }
            const F scale_low = load(factors + static_cast<uint64_t>(s) * kPanelRows);
            const F scale_high = load(factors + static_cast<uint64_t>(s) * kPanelRows + kLanes);
            for (int m = 0; m < M; ++m) {
                const F d = set1(x[m].d[g]);
                low[m] = fma(to_f(sum_low[m]), scale_low * d, low[m]);
                high[m] = fma(to_f(sum_high[m]), scale_high * d, high[m]);
            }
        }
        if (T::kMins)
            for (int m = 0; m < M; ++m) {
                const F ds = set1(x[m].ds[g]);
                low[m] = fnma(load(factors + P::kScales), ds, low[m]);
                high[m] = fnma(load(factors + P::kScales + kLanes), ds, high[m]);
            }
    }
    for (int m = 0; m < M; ++m) {
        uint8_t *y = reinterpret_cast<uint8_t *>(a.y) +
                     static_cast<int64_t>(token + static_cast<uint64_t>(m)) * a.y_stride;
        store_panel(reinterpret_cast<float *>(y), low[m], high[m], a.rows);
    }
}

template <class T>
static void gemm_quantized(const GemmArgs &a) {
    count_call();
    pack_panel<T>(a);
    uint64_t t = 0;
    for (; t + 4 <= a.tokens; t += 4)
        gemm_tokens<T, 4>(a, t);
    for (; t < a.tokens; ++t)
        gemm_tokens<T, 1>(a, t);
}

template <class T>
static inline void pack_float_panel(const GemmArgs &a) {
    float *panel = reinterpret_cast<float *>(a.scratch);
    if (a.rows < kPanelRows) memset(a.scratch, 0, a.k * kPanelRows * sizeof(float));
    for_vectors(a.k, [&](uint64_t i, uint64_t c) {
        for (uint64_t r = 0; r < a.rows; ++r) {
            float lanes[kLanes];
            const uint8_t *p = a.w + static_cast<int64_t>(r) * a.w_stride + i * T::kBytes;
            store(lanes, c == kLanes ? T::load(p) : load_tail<T>(p, c));
            for (uint64_t lane = 0; lane < c; ++lane)
                panel[(i + lane) * kPanelRows + r] = lanes[lane];
        }
    });
}

template <int M>
static inline void gemm_float_tokens(const GemmArgs &a, uint64_t token) {
    const float *x[M];
    F low[M], high[M];
    for (int m = 0; m < M; ++m) {
        x[m] = reinterpret_cast<const float *>(
            a.x + static_cast<int64_t>(token + static_cast<uint64_t>(m)) * a.x_stride);
        low[m] = high[m] = zero();
    }
    const float *w = reinterpret_cast<const float *>(a.scratch);
    for (uint64_t i = 0; i < a.k; ++i, w += kPanelRows) {
        const F w_low = load(w), w_high = load(w + kLanes);
        for (int m = 0; m < M; ++m) {
            const F xs = set1(x[m][i]);
            low[m] = fma(w_low, xs, low[m]);
            high[m] = fma(w_high, xs, high[m]);
        }
    }
    for (int m = 0; m < M; ++m) {
        uint8_t *y = reinterpret_cast<uint8_t *>(a.y) +
                     static_cast<int64_t>(token + static_cast<uint64_t>(m)) * a.y_stride;
        store_panel(reinterpret_cast<float *>(y), low[m], high[m], a.rows);
    }
}

template <class T>
static void gemm_float(const GemmArgs &a) {
    count_call();
    pack_float_panel<T>(a);
    uint64_t t = 0;
    for (; t + 6 <= a.tokens; t += 6)
        gemm_float_tokens<6>(a, t);
    for (; t < a.tokens; ++t)
        gemm_float_tokens<1>(a, t);
}

static uint64_t gemm_scratch(WeightType type, uint64_t k) {
    switch (type) {
    case kQ8_0: return k / 32 * Panel<Q8_0>::kGroupBytes;
    case kQ4_0: return k / 32 * Panel<Q4_0>::kGroupBytes;
    case kQ4_K: return k / 32 * Panel<Q4_K>::kGroupBytes;
    case kQ6_K: return k / 32 * Panel<Q6_K>::kGroupBytes;
    case kQ4_1: return k / 32 * Panel<Q4_1>::kGroupBytes;
    case kQ5_0: return k / 32 * Panel<Q5_0>::kGroupBytes;
    case kQ5_1: return k / 32 * Panel<Q5_1>::kGroupBytes;
    case kQ3_K: return k / 32 * Panel<Q3_K>::kGroupBytes;
    case kQ5_K: return k / 32 * Panel<Q5_K>::kGroupBytes;
    case kIQ4_NL: return k / 32 * Panel<IQ4_NL>::kGroupBytes;
    case kIQ4_XS: return k / 32 * Panel<IQ4_XS>::kGroupBytes;
    case kMXFP4: return k / 32 * Panel<MXFP4>::kGroupBytes;
    default: return k * kPanelRows * sizeof(float);
    }
}

} // namespace realizar::cpu::RZ_CPU_ISA
