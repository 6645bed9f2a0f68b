// What the models of rounding share: unit roundoffs and norms (tolerance.h).
#pragma once

#include "core/tensor/dtype.h"
#include "realizar/backend.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace realizar::ctk {

constexpr double kF32 = 0x1p-24, kF16 = 0x1p-11, kBf16 = 0x1p-8;
constexpr double kSqrt3 = 1.7320508075688772;
using Row = std::span<const double>;

inline double largest(Row row) {
    double most = 0;
    for (const double value : row)
        most = std::max(most, std::fabs(value));
    return most;
}

inline double norm(Row row) {
    return std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
}

inline bool is_plain(rz_dtype dtype) { return find_dtype(dtype)->block_elements == 1; }

// Relative roundoff of a plain type narrower than F32; 0 otherwise.
inline double narrow_roundoff(rz_dtype dtype) {
    return dtype == RZ_DTYPE_F16 ? kF16 : dtype == RZ_DTYPE_BF16 ? kBf16 : 0;
}

// Of y = w . x with a weight of this type, accumulated in F32 in any order.
inline double dot_noise(Row w, Row x, double y, rz_dtype type) {
    const auto length = static_cast<double>(w.size());
    const bool quantised = !is_plain(type);
    double products = 0;
    for (size_t k = 0; k < w.size(); ++k)
        products += w[k] * x[k] * w[k] * x[k];
    return (kF32 * std::sqrt(1 + length / 4) + narrow_roundoff(type) / kSqrt3) *
               std::sqrt(products) +
           kF32 * std::fabs(y) * std::sqrt(length / 3) +
           (quantised ? largest(x) / 254 / kSqrt3 * norm(w) : 0);
}

} // namespace realizar::ctk
