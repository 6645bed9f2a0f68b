// One row of activations times rows of weights in their canonical layout: the shape of decoding,
// bound by reading the weights once.
#pragma once

namespace realizar::cpu::RZ_CPU_ISA {

// Rows that run side by side: their chains of dependent additions overlap. The same block of the
// next group of rows is fetched meanwhile: out-of-order execution alone does not run far enough
// ahead to keep DRAM busy.
template <class T, int R>
static inline void dot_blocks(const DotArgs &a, uint64_t row) {
    const Q8Row x = q8_row(a.x, a.k);
    const uint8_t *w[R];
    typename T::Sum sum[R];
    for (int r = 0; r < R; ++r)
        w[r] = a.w + static_cast<int64_t>(row + static_cast<uint64_t>(r)) * a.w_stride;
    const int64_t ahead = R * a.w_stride;
    const uint64_t blocks = a.k / T::kElements;
    uint64_t b = 0;
    for (; b + T::kAtOnce <= blocks; b += T::kAtOnce)
#pragma GCC unroll 8 // else sums live in memory
        for (int r = 0; r < R; ++r) {
            const uint8_t *block = w[r] + b * T::kBytes;
            for (uint64_t line = 0; line < T::kAtOnce * T::kBytes; line += 64)
                __builtin_prefetch(block + ahead + static_cast<int64_t>(line));
            sum[r].add(block, x, b);
        }
    if constexpr (T::kAtOnce == 2)
        for (int r = 0; r < R && b < blocks; ++r)
            sum[r].add_last(w[r] + b * T::kBytes, x, b);
    for (int r = 0; r < R; ++r)
        a.y[row + static_cast<uint64_t>(r)] = sum[r].total();
}

template <class T, int R>
static void dot_quantized(const DotArgs &a) {
    count_call();
    uint64_t row = 0;
    for (; row + R <= a.rows; row += R)
        dot_blocks<T, R>(a, row);
    for (; row < a.rows; ++row)
        dot_blocks<T, 1>(a, row);
}

template <class T, int R>
static inline void dot_floats(const DotArgs &a, uint64_t row) {
    const float *x = reinterpret_cast<const float *>(a.x);
    const uint8_t *w[R];
    F even[R], odd[R];
    for (int r = 0; r < R; ++r) {
        w[r] = a.w + static_cast<int64_t>(row + static_cast<uint64_t>(r)) * a.w_stride;
        even[r] = odd[r] = zero();
    }
    const int64_t ahead = R * a.w_stride;
    uint64_t i = 0;
    for (; i + 2 * kLanes <= a.k; i += 2 * kLanes) {
        const F x0 = load(x + i), x1 = load(x + i + kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const uint8_t *p = w[r] + i * T::kBytes;
            __builtin_prefetch(p + ahead);
            even[r] = fma(T::load(p), x0, even[r]);
            odd[r] = fma(T::load(p + kLanes * T::kBytes), x1, odd[r]);
        }
    }
    for (; i < a.k; i += kLanes) {
        const uint64_t n = a.k - i < kLanes ? a.k - i : kLanes;
        const F x0 = load_some(x + i, n);
        for (int r = 0; r < R; ++r)
            even[r] = fma(load_tail<T>(w[r] + i * T::kBytes, n), x0, even[r]);
    }
    for (int r = 0; r < R; ++r)
        a.y[row + static_cast<uint64_t>(r)] = reduce_add(even[r] + odd[r]);
}

template <class T>
static void dot_float(const DotArgs &a) {
    count_call();
    uint64_t row = 0;
    for (; row + 4 <= a.rows; row += 4)
        dot_floats<T, 4>(a, row);
    for (; row < a.rows; ++row)
        dot_floats<T, 1>(a, row);
}

} // namespace realizar::cpu::RZ_CPU_ISA
