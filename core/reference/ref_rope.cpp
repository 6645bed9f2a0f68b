#include "core/reference/ref_rope.h"

#include "core/reference/ref_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace realizar {
namespace {

// The pair index at which a wavelength makes `beta` turns over the original context
// (arXiv:2309.00071, section 3.2).
double correction_dim(const rz_attr_rope &attr, double beta) {
    return attr.rotated * std::log(attr.original_context / (beta * 2 * std::numbers::pi)) /
           (2 * std::log(static_cast<double>(attr.base)));
}

// How much of the extrapolated angle pair i takes: r of the contract.
double extrapolated_share(const rz_attr_rope &attr, uint32_t i) {
    if (attr.extrapolation == 0) return 0;
    const double last = static_cast<double>(attr.rotated) - 1;
    const double low = std::clamp(std::floor(correction_dim(attr, attr.beta_fast)), 0.0, last);
    const double high = std::clamp(std::ceil(correction_dim(attr, attr.beta_slow)), 0.0, last);
    return attr.extrapolation * (1 - std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0));
}

double magnitude_of(const rz_attr_rope &attr) {
    const double correction =
        attr.extrapolation != 0 ? 1 + 0.1 * std::log(1 / static_cast<double>(attr.scale)) : 1;
    return attr.attention_factor * correction;
}

} // namespace

std::vector<double> ref_rope_rates(const rz_attr_rope &attr, std::span<const double> factors) {
    std::vector<double> rates(attr.rotated / 2);
    for (uint32_t i = 0; i < rates.size(); ++i) {
        const double extrapolated =
            std::pow(static_cast<double>(attr.base), -2.0 * i / attr.rotated) /
            (factors.empty() ? 1 : factors[i]);
        const double share = extrapolated_share(attr, i);
        rates[i] = attr.scale * extrapolated * (1 - share) + extrapolated * share;
    }
    return rates;
}

void ref_rope(RefCall &call) {
    const auto attr = call.attributes<rz_attr_rope>();
    const RefTensor &x = call.in(0);
    const std::vector<int64_t> positions = ref_integers(call.in(1));
    const int64_t heads = x.dim(1);
    const double magnitude = magnitude_of(attr);
    std::vector<double> scratch, factor_scratch, y;
    const std::span<const double> factors =
        call.has(2) ? call.in(2).row(0, factor_scratch) : std::span<const double>();
    const std::vector<double> rates = ref_rope_rates(attr, factors);
    for (int64_t r = 0; r < x.rows(); ++r) {
        const std::span<const double> row = x.row(r, scratch);
        y.assign(row.begin(), row.end());
        const auto position = static_cast<double>(positions[static_cast<size_t>(r / heads)]);
        for (uint32_t i = 0; i < attr.rotated / 2; ++i) {
            const double angle = position * rates[i];
            const bool halves = attr.pairing == RZ_ROPE_HALVES;
            const size_t a = halves ? i : size_t{2} * i;
            const size_t b = halves ? i + attr.rotated / 2 : a + 1;
            y[a] = magnitude * (row[a] * std::cos(angle) - row[b] * std::sin(angle));
            y[b] = magnitude * (row[a] * std::sin(angle) + row[b] * std::cos(angle));
        }
        call.out().set_row(r, y);
    }
}

} // namespace realizar
