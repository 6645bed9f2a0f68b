#include "core/reference/ref_ops.h"

#include <algorithm>
#include <cfloat>
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

namespace {

struct Draw {
    double temperature, top_k, top_p, min_p, uniform;
};

// Entries of a falling row that stay in the draw.
size_t count_kept(std::span<const double> logits, const Draw &draw) {
    size_t kept = 0;
    while (kept < logits.size() && logits[kept] > kMinusInfinity)
        ++kept;
    if (draw.top_k > 0 && draw.top_k < static_cast<double>(kept))
        kept = static_cast<size_t>(draw.top_k);
    const auto weight = [&](size_t i) { return std::exp(logits[i] - logits[0]); };
    double total = 0, sum = 0;
    for (size_t i = 0; i < kept; ++i)
        total += weight(i);
    for (size_t i = 0; draw.top_p < 1 && i < kept; ++i)
        if ((sum += weight(i)) >= draw.top_p * total) kept = i + 1;
    while (kept > 0 && weight(kept - 1) < draw.min_p)
        --kept;
    return kept;
}

double choose_token(std::span<const double> logits, std::span<const double> tokens,
                    const Draw &draw) {
    const size_t kept = count_kept(logits, draw);
    if (draw.temperature <= 0 || kept == 0) return tokens[0];
    std::vector<size_t> order(kept);
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::sort(order, {}, [&](size_t i) { return tokens[i]; });
    const auto weight = [&](size_t i) {
        return std::exp((logits[i] - logits[0]) / draw.temperature);
    };
    double total = 0, sum = 0;
    for (const size_t i : order)
        total += weight(i);
    for (const size_t i : order)
        if ((sum += weight(i)) > draw.uniform * total) return tokens[i];
    return tokens[0];
}

} // namespace

void ref_sample(RefCall &call) {
    const RefTensor &logits = call.in(0), &tokens = call.in(1), &draws = call.in(2);
    std::vector<double> x, scratch, draw_scratch, result;
    for (int64_t r = 0; r < logits.rows(); ++r) {
        const std::span<const double> row = logits.row(r, scratch);
        x.assign(row.begin(), row.end());
        for (double &value : x)
            value = std::isnan(value) ? kMinusInfinity : std::min<double>(value, FLT_MAX);
        const std::span<const double> d = draws.row(r, draw_scratch);
        const Draw draw = {d[0], d[1], d[2], d[3], d[4]};
        std::vector<double> token_scratch;
        result.push_back(choose_token(x, tokens.row(r, token_scratch), draw));
    }
    if (!result.empty()) call.out().set_row(0, result);
}

} // namespace realizar
