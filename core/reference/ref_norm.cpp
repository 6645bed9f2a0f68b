#include "core/reference/ref_ops.h"

#include <cmath>
#include <numeric>

namespace realizar {
namespace {

double mean_square(std::span<const double> x) {
    return std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size());
}

// y = x / sqrt(mean(x^2) + epsilon) * weight + bias, row by row; `centre` subtracts the mean first.
void normalise(RefCall &call, bool centre) {
    const RefTensor &x = call.in(0);
    const double epsilon = call.attributes<rz_attr_norm>().epsilon;
    std::vector<double> scratch, weight_scratch, bias_scratch, y;
    const auto optional_row = [&](size_t i, std::vector<double> &into) {
        return call.has(i) ? call.in(i).row(0, into) : std::span<const double>();
    };
    const std::span<const double> weight = optional_row(1, weight_scratch);
    const std::span<const double> bias = optional_row(2, bias_scratch);
    for (int64_t r = 0; r < x.rows(); ++r) {
        const std::span<const double> row = x.row(r, scratch);
        y.assign(row.begin(), row.end());
        if (centre) {
            const double mean =
                std::accumulate(y.begin(), y.end(), 0.0) / static_cast<double>(y.size());
            for (double &value : y)
                value -= mean;
        }
        const double factor = 1 / std::sqrt(mean_square(y) + epsilon);
        for (size_t i = 0; i < y.size(); ++i)
            y[i] = y[i] * factor * (weight.empty() ? 1 : weight[i]) + (bias.empty() ? 0 : bias[i]);
        call.out().set_row(r, y);
    }
}

} // namespace

void ref_rms_norm(RefCall &call) { normalise(call, false); }

void ref_layer_norm(RefCall &call) { normalise(call, true); }

} // namespace realizar
