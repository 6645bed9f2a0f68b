// Mixtures of experts.
#include "core/reference/ref_ops.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace realizar {
namespace {

// Indices of the k largest, falling; ties by index, NaN last.
std::vector<size_t> largest(const std::vector<double> &scores, size_t k) {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, [&](size_t a, size_t b) {
        if (std::isnan(scores[a]) || std::isnan(scores[b]))
            return !std::isnan(scores[a]) && std::isnan(scores[b]);
        return scores[a] > scores[b];
    });
    order.resize(k);
    return order;
}

std::vector<double> gate(uint32_t gating, std::span<const double> logits) {
    std::vector<double> p(logits.begin(), logits.end());
    if (gating == RZ_GATING_SIGMOID) {
        for (double &value : p)
            value = 1 / (1 + std::exp(-value));
        return p;
    }
    const double most = std::ranges::max(p);
    double sum = 0;
    for (double &value : p)
        sum += value = std::exp(value - most);
    for (double &value : p)
        value /= sum;
    return p;
}

// Experts that may be chosen, by the groups' scores.
std::vector<size_t> candidates(const rz_attr_route &attr, const std::vector<double> &scores) {
    const size_t size = scores.size() / attr.groups;
    std::vector<double> totals;
    for (size_t g = 0; g < attr.groups; ++g) {
        const std::vector<double> group(scores.begin() + static_cast<ptrdiff_t>(g * size),
                                        scores.begin() + static_cast<ptrdiff_t>((g + 1) * size));
        double total = 0;
        for (const size_t i : largest(group, attr.group_top))
            total += group[i];
        totals.push_back(total);
    }
    std::vector<size_t> groups = largest(totals, attr.groups_used), out;
    std::ranges::sort(groups); // ties between experts go to the lower index
    for (const size_t g : groups)
        for (size_t i = 0; i < size; ++i)
            out.push_back(g * size + i);
    return out;
}

} // namespace

void ref_route(RefCall &call) {
    const auto attr = call.attributes<rz_attr_route>();
    const RefTensor &logits = call.in(0);
    std::vector<double> scratch, bias_scratch, weights, experts;
    const std::span<const double> bias =
        call.has(1) ? call.in(1).row(0, bias_scratch) : std::span<const double>();
    for (int64_t t = 0; t < logits.rows(); ++t) {
        const std::vector<double> p = gate(attr.gating, logits.row(t, scratch));
        std::vector<double> scores = p;
        for (size_t e = 0; e < bias.size(); ++e)
            scores[e] += bias[e];
        const std::vector<size_t> open = candidates(attr, scores);
        std::vector<double> open_scores;
        for (const size_t e : open)
            open_scores.push_back(scores[e]);
        weights.clear();
        experts.clear();
        for (const size_t i : largest(open_scores, attr.k)) {
            experts.push_back(static_cast<double>(open[i]));
            weights.push_back(p[open[i]]);
        }
        const double sum =
            attr.normalise != 0 ? std::accumulate(weights.begin(), weights.end(), 0.0) : 1.0;
        for (double &weight : weights)
            weight = sum == 0 ? 0 : weight * attr.scale / sum;
        call.out(0).set_row(t, weights);
        call.out(1).set_row(t, experts);
    }
}

void ref_expert_matmul(RefCall &call) {
    const RefTensor &weight = call.in(0), &x = call.in(1);
    const int64_t experts = weight.dim(0), width = weight.dim(1), chosen = call.out().dim(1);
    const std::vector<int64_t> ids =
        call.has(2) ? ref_integers(call.in(2)) : std::vector<int64_t>();
    RefRows w(weight);
    std::vector<double> x_scratch, bias_scratch;
    for (int64_t r = 0; r < call.out().rows(); ++r) {
        const int64_t t = r / chosen, j = r % chosen;
        const int64_t e = ids.empty() ? j : ids[static_cast<size_t>(r)];
        std::vector<double> y(static_cast<size_t>(width), 0.0);
        if (e >= 0 && e < experts) {
            const std::span<const double> row =
                x.row(x.dim(1) == 1 ? t : t * chosen + j, x_scratch);
            const std::span<const double> bias =
                call.has(3) ? call.in(3).row(e, bias_scratch) : std::span<const double>();
            for (int64_t n = 0; n < width; ++n) {
                const std::span<const double> column = w[e * width + n];
                y[static_cast<size_t>(n)] =
                    std::inner_product(column.begin(), column.end(), row.begin(),
                                       bias.empty() ? 0.0 : bias[static_cast<size_t>(n)]);
            }
        }
        call.out().set_row(r, y);
    }
}

void ref_weighted_sum(RefCall &call) {
    const RefTensor &x = call.in(0), &weights = call.in(1);
    const int64_t parts = x.dim(1);
    std::vector<double> x_scratch, weight_scratch, y;
    for (int64_t t = 0; t < x.dim(0); ++t) {
        const std::span<const double> weight = weights.row(t, weight_scratch);
        y.assign(static_cast<size_t>(x.inner()), 0.0);
        for (int64_t j = 0; j < parts; ++j) {
            const std::span<const double> row = x.row(t * parts + j, x_scratch);
            for (size_t i = 0; i < y.size(); ++i)
                y[i] += weight[static_cast<size_t>(j)] * row[i];
        }
        call.out().set_row(t, y);
    }
}

} // namespace realizar
