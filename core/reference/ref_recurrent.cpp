// State-space layers: a state per sequence, rows in order.
#include "core/reference/ref_ops.h"

#include <cmath>
#include <map>

namespace realizar {
namespace {

// The states of the sequences that a call touches, in double until the call ends.
class States {
  public:
    explicit States(RefTensor &state) : state_(state), rows_(state.rows() / state.dim(0)) {}

    // The state of a sequence as rows of the innermost dimension; nullptr outside of the tensor.
    std::vector<std::vector<double>> *at(int64_t sequence, int64_t position) {
        if (sequence < 0 || sequence >= state_.dim(0)) return nullptr;
        const auto [entry, fresh] = open_.try_emplace(sequence);
        std::vector<double> scratch;
        for (int64_t r = 0; fresh && r < rows_; ++r) {
            const std::span<const double> row = state_.row(sequence * rows_ + r, scratch);
            entry->second.emplace_back(row.begin(), row.end());
        }
        if (position == 0)
            for (std::vector<double> &row : entry->second)
                row.assign(row.size(), 0.0);
        return &entry->second;
    }

    void store() {
        for (const auto &[sequence, rows] : open_)
            for (int64_t r = 0; r < rows_; ++r)
                state_.set_row(sequence * rows_ + r, rows[static_cast<size_t>(r)]);
    }

  private:
    RefTensor &state_;
    int64_t rows_;
    std::map<int64_t, std::vector<std::vector<double>>> open_;
};

std::span<const double> optional_row(RefCall &call, size_t i, std::vector<double> &scratch) {
    return call.has(i) ? call.in(i).row(0, scratch) : std::span<const double>();
}

} // namespace

void ref_ssm_conv(RefCall &call) {
    const RefTensor &x = call.in(1);
    const std::vector<int64_t> positions = ref_integers(call.in(3));
    const std::vector<int64_t> sequences = ref_integers(call.in(4));
    RefRows weight(call.in(2));
    States states(call.out(0));
    std::vector<double> x_scratch, bias_scratch;
    const std::span<const double> bias = optional_row(call, 5, bias_scratch);
    for (int64_t t = 0; t < x.rows(); ++t) {
        const auto row = static_cast<size_t>(t);
        std::vector<double> y(static_cast<size_t>(x.inner()), 0.0);
        if (auto *window = states.at(sequences[row], positions[row])) {
            const std::span<const double> now = x.row(t, x_scratch);
            window->emplace_back(now.begin(), now.end());
            for (size_t d = 0; d < y.size(); ++d) {
                const std::span<const double> w = weight[static_cast<int64_t>(d)];
                y[d] = bias.empty() ? 0.0 : bias[d];
                for (size_t i = 0; i < w.size(); ++i)
                    y[d] += w[i] * (*window)[i][d];
            }
            window->erase(window->begin());
        }
        call.out(1).set_row(t, y);
    }
    states.store();
}

void ref_ssm_scan(RefCall &call) {
    const RefTensor &x = call.in(1), &a = call.in(3);
    const std::vector<int64_t> positions = ref_integers(call.in(6));
    const std::vector<int64_t> sequences = ref_integers(call.in(7));
    RefRows rates(a);
    States states(call.out(0));
    std::vector<double> x_scratch, dt_scratch, b_scratch, c_scratch, d_scratch;
    const std::span<const double> skip = optional_row(call, 8, d_scratch);
    const int64_t heads = x.dim(1), width = x.dim(2), groups = call.in(4).dim(1);
    const auto size = static_cast<size_t>(call.in(0).inner());
    for (int64_t r = 0; r < x.rows(); ++r) { // one head of one row
        const int64_t t = r / heads, h = r % heads;
        const auto row = static_cast<size_t>(t);
        std::vector<double> y(static_cast<size_t>(width), 0.0);
        // A sequence begins with the first head of its first row.
        auto *state = states.at(sequences[row], h == 0 ? positions[row] : -1);
        if (state != nullptr) {
            const std::span<const double> values = x.row(r, x_scratch);
            const double step = call.in(2).row(t, dt_scratch)[static_cast<size_t>(h)];
            const double delta = step > 30 ? step : std::log1p(std::exp(step));
            const int64_t group = t * groups + h / (heads / groups);
            const std::span<const double> b = call.in(4).row(group, b_scratch);
            const std::span<const double> c = call.in(5).row(group, c_scratch);
            const std::span<const double> rate = rates[h];
            for (size_t p = 0; p < y.size(); ++p) {
                std::vector<double> &s = (*state)[static_cast<size_t>(h * width) + p];
                if (!skip.empty()) y[p] = skip[static_cast<size_t>(h)] * values[p];
                for (size_t n = 0; n < size; ++n) {
                    s[n] = std::exp(delta * rate[rate.size() == 1 ? 0 : n]) * s[n] +
                           delta * b[n] * values[p];
                    y[p] += s[n] * c[n];
                }
            }
        }
        call.out(1).set_row(r, y);
    }
    states.store();
}

} // namespace realizar
