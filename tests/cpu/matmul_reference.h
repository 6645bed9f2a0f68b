// Operands of matmuls and their products in float64.
#pragma once

#include "random.h"

#include <algorithm>

namespace realizar::cpu::test {

inline bool quantised(WeightType type) { return type >= kQ8_0; }

// Activations as the kernels take them: floats, or bytes with a scale for 32 or 256 elements.
enum class Form { kFloats, kQ8, kQ8Long };

// With the values that they stand for.
struct Activations {
    std::vector<uint8_t> bytes;
    Floats values;
    uint64_t stride;

    Activations(const Kernels &k, Random &random, Form form, uint64_t tokens, uint64_t n)
        : values(random_floats(random, tokens * n)), stride(stride_of(form, n)) {
        bytes.resize(tokens * stride);
        for (uint64_t t = 0; t < tokens; ++t)
            set(k, form, t, values.data() + t * n, n);
    }
    // Token t, with the values that rounding leaves in `x`.
    void set(const Kernels &k, Form form, uint64_t t, float *x, uint64_t n) {
        uint8_t *row = bytes.data() + t * stride;
        if (form == Form::kFloats) {
            std::memcpy(row, x, n * 4);
        } else if (form == Form::kQ8) {
            k.quantize(x, row, n);
            const Q8Row q = q8_row(row, n);
            for (uint64_t i = 0; i < n; ++i)
                x[i] = static_cast<float>(q.q[i]) * q.d[i / 32];
        } else {
            k.quantize_long(x, row, n);
            const Q8LongRow q = q8_long_row(row, n);
            for (uint64_t i = 0; i < n; ++i)
                x[i] = static_cast<float>(q.q[i]) * q.d[i / 256];
        }
    }
    static uint64_t stride_of(Form form, uint64_t n) {
        if (form == Form::kFloats) return n * 4;
        return form == Form::kQ8 ? q8_row_bytes(n) : q8_long_row_bytes(n);
    }
};
inline Form canonical_form(WeightType type) { return quantised(type) ? Form::kQ8 : Form::kFloats; }

struct Product {
    Doubles exact, tolerance;
};

// Rounding errors of a sum of k products in some order: at most k, usually sqrt(k), half units of
// the sum of magnitudes. Types with mins or offsets cancel within a block, so magnitudes are those
// of the largest weight of each block of 32 (twice: scale * byte and min).
inline Product exact_product(const WeightRows &w, const Activations &x, uint64_t rows,
                             uint64_t tokens, uint64_t k) {
    Product p;
    for (uint64_t t = 0; t < tokens; ++t)
        for (uint64_t r = 0; r < rows; ++r) {
            double sum = 0, magnitude = 0;
            for (uint64_t begin = 0; begin < k; begin += 32) {
                double top = 0, xs = 0;
                for (uint64_t i = begin; i < std::min(k, begin + 32); ++i) {
                    const double a = w.values[r * k + i], b = x.values[t * k + i];
                    sum += a * b;
                    top = std::max(top, std::abs(a));
                    xs += std::abs(b);
                }
                magnitude += 2 * top * xs;
            }
            p.exact.push_back(sum);
            p.tolerance.push_back(kEpsilon * (8 + 2 * std::sqrt(static_cast<double>(k))) *
                                  magnitude);
        }
    return p;
}

} // namespace realizar::cpu::test
