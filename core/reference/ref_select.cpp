#include "core/reference/ref_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace realizar {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

void ref_softmax(RefCall &call) {
    const RefTensor &x = call.in(0);
    const double scale = call.attributes<rz_attr_scale>().scale;
    std::vector<double> scratch, y;
    for (int64_t r = 0; r < x.rows(); ++r) {
        const std::span<const double> row = x.row(r, scratch);
        y.assign(row.begin(), row.end());
        for (double &value : y)
            value *= scale;
        const double largest = std::ranges::max(y);
        double sum = 0;
        for (double &value : y)
            sum += value = largest == kMinusInfinity ? 0 : std::exp(value - largest);
        for (double &value : y)
            value = sum == 0 ? 0 : value / sum;
        call.out().set_row(r, y);
    }
}

void ref_argmax(RefCall &call) {
    const RefTensor &x = call.in(0);
    const auto or_least = [](double value) { return std::isnan(value) ? kMinusInfinity : value; };
    std::vector<double> scratch, result;
    for (int64_t r = 0; r < x.rows(); ++r) {
        const std::span<const double> row = x.row(r, scratch);
        const auto best = std::ranges::max_element(row, {}, or_least); // the first on a tie
        result.push_back(static_cast<double>(best - row.begin()));
    }
    if (!result.empty()) call.out().set_row(0, result);
}

void ref_top_k(RefCall &call) {
    const RefTensor &x = call.in(0);
    const uint32_t k = call.attributes<rz_attr_top_k>().k;
    std::vector<double> scratch, values(k), indices(k);
    std::vector<size_t> order(static_cast<size_t>(x.inner()));
    for (int64_t r = 0; r < x.rows(); ++r) {
        const std::span<const double> row = x.row(r, scratch);
        std::iota(order.begin(), order.end(), size_t{0});
        std::ranges::stable_sort(order, [&](size_t a, size_t b) {
            if (std::isnan(row[a]) || std::isnan(row[b]))
                return std::isnan(row[b]) > std::isnan(row[a]);
            return row[a] > row[b];
        });
        for (uint32_t i = 0; i < k; ++i) {
            values[i] = row[order[i]];
            indices[i] = static_cast<double>(order[i]);
        }
        call.out(0).set_row(r, values);
        call.out(1).set_row(r, indices);
    }
}

} // namespace realizar
