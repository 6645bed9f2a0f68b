// Models of rounding for mixtures of experts and recurrent layers.
#include "tools/ctk/rounding.h"
#include "tools/ctk/tolerance.h"

#include <map>

namespace realizar::ctk {

std::vector<double> route_noise(RefCall &call) {
    const auto attr = call.attributes<rz_attr_route>();
    const RefTensor &logits = call.in(0);
    std::vector<double> sigma, scratch, x_scratch;
    const double root = std::sqrt(static_cast<double>(logits.inner()));
    for (int64_t t = 0; t < logits.rows(); ++t) {
        const double most = largest(logits.row(t, x_scratch));
        double factor = attr.gating == RZ_GATING_SOFTMAX ? 3 + 2 * most + root / 2 : 2 * (2 + most);
        if (attr.normalise != 0) factor *= 2;
        for (const double weight : call.out().row(t, scratch))
            sigma.push_back(kF32 * (factor + 1) * std::fabs(weight) + 0x1p-126);
    }
    return sigma;
}

std::vector<double> expert_matmul_noise(RefCall &call, rz_dtype type) {
    const RefTensor &w = call.in(0), &x = call.in(1);
    const int64_t chosen = call.out().dim(1), width = w.dim(1);
    const std::vector<int64_t> experts =
        call.has(2) ? ref_integers(call.in(2)) : std::vector<int64_t>();
    RefRows weights(w);
    std::vector<double> sigma, scratch, x_scratch, bias_scratch;
    for (int64_t r = 0; r < call.out().rows(); ++r) {
        const int64_t e = experts.empty() ? r % chosen : experts[static_cast<size_t>(r)];
        const Row y = call.out().row(r, scratch);
        if (e < 0 || e >= w.dim(0)) { // zeros, exactly
            sigma.insert(sigma.end(), y.size(), 0.0);
            continue;
        }
        const Row input = x.row(x.dim(1) == 1 ? r / chosen : r, x_scratch);
        const Row bias = call.has(3) ? call.in(3).row(e, bias_scratch) : Row();
        for (size_t n = 0; n < y.size(); ++n) {
            const double product = bias.empty() ? y[n] : y[n] - bias[n];
            sigma.push_back(
                dot_noise(weights[e * width + static_cast<int64_t>(n)], input, product, type) +
                (bias.empty() ? 0 : kF32 * std::fabs(y[n])));
        }
    }
    return sigma;
}

std::vector<double> weighted_sum_noise(RefCall &call) {
    const RefTensor &x = call.in(0);
    const auto parts = static_cast<size_t>(x.dim(1)), width = static_cast<size_t>(x.inner());
    RefRows rows(x);
    std::vector<double> sigma, scratch, weight_scratch, column(parts);
    for (int64_t t = 0; t < x.dim(0); ++t) {
        const Row y = call.out().row(t, scratch), weights = call.in(1).row(t, weight_scratch);
        for (size_t i = 0; i < width; ++i) {
            for (size_t j = 0; j < parts; ++j)
                column[j] = rows[t * x.dim(1) + static_cast<int64_t>(j)][i];
            sigma.push_back(dot_noise(weights, column, y[i], RZ_DTYPE_F32));
        }
    }
    return sigma;
}

namespace {

// Rows of the innermost dimension of one sequence's state.
using StateRows = std::vector<std::vector<double>>;

// The states of the sequences of a call, from the tensor as it was before.
class StatesBefore {
  public:
    explicit StatesBefore(const RefTensor &state)
        : state_(state), rows_(state.rows() / state.dim(0)) {}
    StateRows *at(int64_t sequence, int64_t position) {
        if (sequence < 0 || sequence >= state_.dim(0)) return nullptr;
        const auto [entry, fresh] = open_.try_emplace(sequence);
        std::vector<double> scratch;
        for (int64_t r = 0; fresh && r < rows_; ++r) {
            const Row row = state_.row(sequence * rows_ + r, scratch);
            entry->second.emplace_back(row.begin(), row.end());
        }
        if (position == 0)
            for (auto &row : entry->second)
                row.assign(row.size(), 0.0);
        return &entry->second;
    }

  private:
    const RefTensor &state_;
    int64_t rows_;
    std::map<int64_t, StateRows> open_;
};

} // namespace

NodeNoise ssm_conv_noise(RefCall &call) {
    const RefTensor &x = call.in(1);
    const std::vector<int64_t> positions = ref_integers(call.in(3));
    const std::vector<int64_t> sequences = ref_integers(call.in(4));
    RefRows weights(call.in(2));
    StatesBefore states(call.in(0));
    std::vector<double> sigma, scratch, x_scratch;
    for (int64_t t = 0; t < x.rows(); ++t) {
        const Row y = call.out(1).row(t, scratch);
        StateRows *window =
            states.at(sequences[static_cast<size_t>(t)], positions[static_cast<size_t>(t)]);
        if (window == nullptr) {
            sigma.insert(sigma.end(), y.size(), 0.0);
            continue;
        }
        const Row now = x.row(t, x_scratch);
        window->emplace_back(now.begin(), now.end());
        std::vector<double> column(window->size());
        for (size_t d = 0; d < y.size(); ++d) {
            for (size_t i = 0; i < column.size(); ++i)
                column[i] = (*window)[i][d];
            const Row w = weights[static_cast<int64_t>(d)];
            sigma.push_back(dot_noise(w, column, y[d], RZ_DTYPE_F32) + kF32 * std::fabs(y[d]));
        }
        window->erase(window->begin());
    }
    return {{}, std::move(sigma)};
}

namespace {

// One head of one row: advances values and variances and gives the variance of y.
struct ScanHead {
    double delta;
    Row rate, b, c;

    double advance(double x, double skip, std::vector<double> &s, std::vector<double> &v) const {
        double variance = 0, products = 0, y = skip * x;
        for (size_t n = 0; n < s.size(); ++n) {
            const double exponent = delta * rate[rate.size() == 1 ? 0 : n];
            const double decay = std::exp(exponent), input = delta * b[n] * x;
            const double before = decay * s[n];
            s[n] = before + input;
            const auto square = [](double value) { return value * value; };
            v[n] = decay * decay * v[n] + square(kF32 * before * (4 + 2 * std::fabs(exponent))) +
                   square(6 * kF32 * input) + square(kF32 * s[n]);
            variance += v[n] * c[n] * c[n];
            products += square(s[n] * c[n]);
            y += s[n] * c[n];
        }
        const auto length = static_cast<double>(s.size());
        return std::sqrt(variance) + kF32 * std::sqrt((1 + length / 4) * products) +
               kF32 * std::fabs(y) * std::sqrt(length / 3) +
               2 * kF32 * (std::fabs(skip * x) + std::fabs(y));
    }
};

// The variances of a sequence's state, which the errors of earlier steps begin.
StateRows variances_before(const std::vector<double> &sigma, int64_t sequence, size_t rows,
                           size_t inner) {
    StateRows out(rows, std::vector<double>(inner, 0.0));
    if (sigma.empty()) return out;
    auto at = sigma.begin() + sequence * static_cast<int64_t>(rows * inner);
    for (std::vector<double> &row : out)
        for (double &v : row) {
            v = *at * *at;
            ++at;
        }
    return out;
}

} // namespace

NodeNoise ssm_scan_noise(NoiseCall &node) {
    RefCall &call = node.call;
    const RefTensor &x = call.in(1), &state = call.in(0);
    const std::vector<int64_t> positions = ref_integers(call.in(6));
    const std::vector<int64_t> sequences = ref_integers(call.in(7));
    const int64_t heads = x.dim(1), width = x.dim(2), groups = call.in(4).dim(1);
    const auto rows = static_cast<size_t>(heads * width), size = static_cast<size_t>(state.inner());
    StatesBefore states(state);
    RefRows rates(call.in(3));
    std::map<int64_t, StateRows> variances;
    std::vector<double> sigma, dt_scratch, b_scratch, c_scratch, x_scratch, d_scratch;
    const Row skip = call.has(8) ? call.in(8).row(0, d_scratch) : Row();
    for (int64_t r = 0; r < x.rows(); ++r) {
        const int64_t t = r / heads, h = r % heads, s = sequences[static_cast<size_t>(t)];
        const bool begins = h == 0 && positions[static_cast<size_t>(t)] == 0;
        StateRows *values = states.at(s, begins ? 0 : -1);
        if (values == nullptr) {
            sigma.insert(sigma.end(), static_cast<size_t>(width), 0.0);
            continue;
        }
        if (begins)
            variances[s] = variances_before({}, s, rows, size);
        else if (!variances.contains(s))
            variances[s] = variances_before(node.state_sigma, s, rows, size);
        const double step = call.in(2).row(t, dt_scratch)[static_cast<size_t>(h)];
        const int64_t group = t * groups + h / (heads / groups);
        const ScanHead head{std::log1p(std::exp(step)), rates[h], call.in(4).row(group, b_scratch),
                            call.in(5).row(group, c_scratch)};
        const Row input = x.row(r, x_scratch);
        for (size_t p = 0; p < input.size(); ++p) {
            const size_t row = static_cast<size_t>(h * width) + p;
            sigma.push_back(head.advance(input[p], skip.empty() ? 0 : skip[static_cast<size_t>(h)],
                                         (*values)[row], variances[s][row]));
        }
    }
    std::vector<double> state_sigma = std::move(node.state_sigma);
    state_sigma.resize(static_cast<size_t>(state.dim(0)) * rows * size, 0.0);
    for (const auto &[s, of_sequence] : variances) {
        size_t at = static_cast<size_t>(s) * rows * size;
        for (const auto &row : of_sequence)
            for (const double v : row)
                state_sigma[at++] = std::sqrt(v);
    }
    return {std::move(state_sigma), std::move(sigma)};
}

} // namespace realizar::ctk
