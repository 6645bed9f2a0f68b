#include "core/reference/ref_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace realizar {
namespace {

// out[i] = fn(a[i]) for every element.
template <class Fn>
void map_rows(RefCall &call, Fn fn) {
    const RefTensor &a = call.in(0);
    std::vector<double> scratch, result(static_cast<size_t>(a.inner()));
    for (int64_t r = 0; r < a.rows(); ++r) {
        std::ranges::transform(a.row(r, scratch), result.begin(), fn);
        call.out().set_row(r, result);
    }
}

// out[i] = fn(a[i], b[i]); b repeats over the outer dimensions of a that it lacks.
template <class Fn>
void map_rows2(RefCall &call, Fn fn) {
    const RefTensor &a = call.in(0), &b = call.in(1);
    std::vector<double> scratch_a, scratch_b, result;
    for (int64_t r = 0; r < a.rows(); ++r) {
        const std::span<const double> row_a = a.row(r, scratch_a);
        const std::span<const double> row_b = b.row(r % b.rows(), scratch_b);
        result.resize(row_a.size());
        std::ranges::transform(row_a, row_b, result.begin(), fn);
        call.out().set_row(r, result);
    }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double apply_unary(uint32_t kind, double x) {
    using std::numbers::pi, std::numbers::sqrt2;
    switch (kind) {
    case RZ_UNARY_SILU: return x * sigmoid(x);
    case RZ_UNARY_GELU:
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case RZ_UNARY_GELU_ERF: return 0.5 * x * (1 + std::erf(x / sqrt2));
    case RZ_UNARY_GELU_QUICK: return x * sigmoid(1.702 * x);
    case RZ_UNARY_RELU: return std::max(x, 0.0);
    case RZ_UNARY_RELU_SQUARED: return std::max(x, 0.0) * std::max(x, 0.0);
    case RZ_UNARY_SIGMOID: return sigmoid(x);
    case RZ_UNARY_TANH: return std::tanh(x);
    }
    return NAN; // shape inference refuses other kinds
}

} // namespace

void ref_add(RefCall &call) { map_rows2(call, std::plus<>()); }

void ref_mul(RefCall &call) { map_rows2(call, std::multiplies<>()); }

void ref_scale(RefCall &call) {
    const auto attr = call.attributes<rz_attr_scale>();
    map_rows(call, [&](double x) { return x * attr.scale + attr.bias; });
}

void ref_clamp(RefCall &call) {
    const auto attr = call.attributes<rz_attr_clamp>();
    map_rows(call, [&](double x) { return std::clamp<double>(x, attr.low, attr.high); });
}

void ref_concat(RefCall &call) {
    const RefTensor &a = call.in(0), &b = call.in(1);
    std::vector<double> scratch, result;
    for (int64_t r = 0; r < a.rows(); ++r) {
        // The row of b at the same outer indices; those of dimensions of size 1 stay 0.
        int64_t rest = r, row_b = 0, step = 1;
        for (uint32_t d = a.rank() - 1; d-- > 0; rest /= a.dim(d), step *= b.dim(d))
            row_b += std::min(rest % a.dim(d), b.dim(d) - 1) * step;
        const std::span<const double> left = a.row(r, scratch);
        result.assign(left.begin(), left.end());
        const std::span<const double> right = b.row(row_b, scratch);
        result.insert(result.end(), right.begin(), right.end());
        call.out().set_row(r, result);
    }
}

void ref_unary(RefCall &call) {
    const auto attr = call.attributes<rz_attr_unary>();
    map_rows(call, [&](double x) { return apply_unary(attr.kind, x); });
}

void ref_glu(RefCall &call) {
    const auto attr = call.attributes<rz_attr_unary>();
    map_rows2(call, [&](double gate, double up) { return apply_unary(attr.kind, gate) * up; });
}

void ref_copy(RefCall &call) {
    map_rows(call, [](double x) { return x; });
}

} // namespace realizar
