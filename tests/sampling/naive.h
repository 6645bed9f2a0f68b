// The definition of sampling written out in double precision, without any of the shortcuts of
// core/sampling: full sorts, std::exp, linear searches.
#pragma once

#include "core/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <span>
#include <vector>

namespace realizar::test {

struct NaiveToken {
    Token token;
    double logit;
};

// After bias and penalties: every token that is not forbidden, the best first.
inline std::vector<NaiveToken> naive_rank(const SamplerParams &params,
                                          std::span<const float> logits,
                                          const std::vector<Token> &history) {
    std::map<Token, int> counts;
    const size_t window = params.repeat_last_n < 0
                              ? history.size()
                              : std::min(history.size(), static_cast<size_t>(params.repeat_last_n));
    for (size_t i = history.size() - window; i < history.size(); ++i)
        ++counts[history[i]];
    std::vector<NaiveToken> ranked;
    for (size_t i = 0; i < logits.size(); ++i) {
        const auto token = static_cast<Token>(i);
        // Steps in float as in the contract: a double would break ties that floats have.
        float logit = logits[i];
        if (std::isnan(logit)) continue;
        logit = std::min(logit, std::numeric_limits<float>::max());
        for (const LogitBias &each : params.logit_bias)
            if (each.token == token) logit += each.bias;
        if (counts.contains(token)) {
            logit = logit > 0 ? logit / params.repeat_penalty : logit * params.repeat_penalty;
            logit -= static_cast<float>(counts[token]) * params.frequency_penalty +
                     params.presence_penalty;
        }
        if (logit == -std::numeric_limits<float>::infinity()) continue;
        ranked.push_back({token, logit});
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const NaiveToken &a, const NaiveToken &b) { return a.logit > b.logit; });
    return ranked;
}

// The probability of each token id, 0 for those that a filter takes out.
inline std::vector<double> naive_probabilities(const SamplerParams &params,
                                               std::span<const float> logits,
                                               const std::vector<Token> &history = {}) {
    std::vector<NaiveToken> kept = naive_rank(params, logits, history);
    std::vector<double> result(logits.size(), 0.0);
    if (kept.empty()) return result;
    const double best = kept[0].logit;
    if (params.top_k > 0 && static_cast<size_t>(params.top_k) < kept.size())
        kept.resize(static_cast<size_t>(params.top_k));
    double total = 0;
    for (const NaiveToken &each : kept)
        total += std::exp(each.logit - best);
    if (params.top_p < 1) {
        double sum = 0;
        size_t count = 0;
        while (count < kept.size()) {
            sum += std::exp(kept[count++].logit - best) / total;
            if (sum >= static_cast<double>(params.top_p)) break;
        }
        kept.resize(count);
    }
    std::erase_if(kept, [&](const NaiveToken &each) {
        return std::exp(each.logit - best) < static_cast<double>(params.min_p);
    });
    total = 0;
    for (const NaiveToken &each : kept)
        total += std::exp((each.logit - best) / params.temperature);
    for (const NaiveToken &each : kept)
        result[static_cast<size_t>(each.token)] =
            std::exp((each.logit - best) / params.temperature) / total;
    return result;
}

// The token whose part of [0, 1), laid out by rising id, holds `u`; -1 if `u` is too near to a
// border for two computations to agree.
inline Token naive_draw(const std::vector<double> &probabilities, double u) {
    double sum = 0;
    for (size_t i = 0; i < probabilities.size(); ++i) {
        sum += probabilities[i];
        if (std::abs(sum - u) < 1e-12) return -1;
        if (sum > u) return static_cast<Token>(i);
    }
    return -1;
}

inline std::vector<float> random_logits(std::mt19937_64 &random, size_t count, double spread) {
    std::vector<float> logits(count);
    for (float &each : logits) {
        double sum = 0; // about normal, the same on every platform
        for (int i = 0; i < 12; ++i)
            sum += static_cast<double>(random() >> 11) * 0x1p-53;
        each = static_cast<float>((sum - 6) * spread);
    }
    return logits;
}

} // namespace realizar::test
