#include "core/sampling/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <utility>

namespace realizar {

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();
constexpr int32_t kMaxWindow = 1 << 20;

// 1 / n!
constexpr auto kExpTerms = [] {
    std::array<double, 14> terms{1.0};
    double factorial = 1.0; // exact: 13! < 2^53
    for (size_t n = 1; n < terms.size(); ++n)
        terms[n] = 1.0 / (factorial *= static_cast<double>(n));
    return terms;
}();

// e^x for x <= 0, correct to 2 ulp; below -50 it is 0, since what 2^20 such weights would add to a
// best one of 1 is less than the rounding of the sum. Not std::exp, whose last bits differ between
// C libraries. Cody-Waite reduction x = k ln 2 + r, |r| <= ln 2 / 2, and the Taylor sum to r^13,
// whose remainder is under 5e-18.
double exp_negative(double x) {
    if (!(x > -50.0)) return 0.0;
    const auto k = static_cast<int>(x * 1.44269504088896340736 - 0.5); // to nearest, x is negative
    // High and low part of ln 2; the first has 21 zero bits at its end, so k times it is exact.
    const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    double sum = kExpTerms.back();
    for (size_t n = kExpTerms.size() - 1; n-- > 0;)
        sum = sum * r + kExpTerms[n];
    return sum * std::bit_cast<double>(static_cast<uint64_t>(1023 + k) << 52); // 2^k
}

float sanitised(float logit) { return std::isnan(logit) ? kForbidden : std::min(logit, FLT_MAX); }

Error bad_parameter(const char *name, const char *expected, double found) {
    return make_error(Code::invalid_argument, "bad_sampling_parameter", "%s: expected %s, found %g",
                      name, expected, found);
}

Status check_range(const char *name, double value, double low, double high, const char *expected) {
    if (value >= low && value <= high) return {};
    return bad_parameter(name, expected, value);
}

} // namespace

Status check_sampler_params(const SamplerParams &params, size_t vocabulary_size) {
    if (vocabulary_size == 0 || vocabulary_size > size_t{INT32_MAX})
        return bad_parameter("vocabulary size", "1 to 2^31 - 1",
                             static_cast<double>(vocabulary_size));
    const double largest = FLT_MAX;
    RZ_TRY(check_range("temperature", params.temperature, -largest, largest, "a finite number"));
    RZ_TRY(check_range("top_k", params.top_k, 0, INT32_MAX, "0 (all) or more"));
    RZ_TRY(check_range("top_p", params.top_p, 0, 1, "0 to 1"));
    RZ_TRY(check_range("min_p", params.min_p, 0, 1, "0 to 1"));
    RZ_TRY(check_range("repeat_last_n", params.repeat_last_n, -1, kMaxWindow, "-1 to 1048576"));
    RZ_TRY(check_range("repeat_penalty", params.repeat_penalty, 0.01, 100, "0.01 to 100"));
    RZ_TRY(check_range("frequency_penalty", params.frequency_penalty, -100, 100, "-100 to 100"));
    RZ_TRY(check_range("presence_penalty", params.presence_penalty, -100, 100, "-100 to 100"));
    std::vector<Token> tokens;
    for (const LogitBias &each : params.logit_bias) {
        if (each.token < 0 || static_cast<size_t>(each.token) >= vocabulary_size)
            return bad_parameter("logit_bias", "a token id of the vocabulary", each.token);
        if (!(each.bias <= FLT_MAX))
            return bad_parameter("logit_bias", "a finite bias or -infinity", each.bias);
        tokens.push_back(each.token);
    }
    std::ranges::sort(tokens);
    if (const auto twice = std::ranges::adjacent_find(tokens); twice != tokens.end())
        return bad_parameter("logit_bias", "each token once, but two entries were", *twice);
    return {};
}

Result<Sampler> Sampler::create(SamplerParams params, size_t vocabulary_size) {
    RZ_TRY(check_sampler_params(params, vocabulary_size));
    return Sampler(std::move(params), vocabulary_size);
}

Sampler::Sampler(SamplerParams params, size_t vocabulary_size)
    : params_(std::move(params)), vocabulary_size_(vocabulary_size), random_(params_.seed),
      penalises_(params_.repeat_last_n != 0 &&
                 (params_.repeat_penalty != 1.0f || params_.frequency_penalty != 0.0f ||
                  params_.presence_penalty != 0.0f)) {
    std::ranges::sort(params_.logit_bias, {}, &LogitBias::token);
    if (!penalises_) return;
    occurrence_of_.assign(vocabulary_size, -1);
    const bool all = params_.repeat_last_n < 0;
    const size_t window = all ? 0 : static_cast<size_t>(params_.repeat_last_n);
    window_.reserve(window);
    occurrences_.reserve(all ? vocabulary_size : std::min(window, vocabulary_size));
}

void Sampler::reset() {
    random_ = Xoshiro256(params_.seed);
    for (const Occurrence &each : occurrences_)
        occurrence_of_[static_cast<size_t>(each.token)] = -1;
    occurrences_.clear();
    window_.clear();
    oldest_ = 0;
}

void Sampler::accept(Token token) {
    if (!penalises_ || token < 0 || static_cast<size_t>(token) >= vocabulary_size_) return;
    if (params_.repeat_last_n > 0) {
        if (window_.size() < static_cast<size_t>(params_.repeat_last_n)) {
            window_.push_back(token);
        } else {
            forget(std::exchange(window_[oldest_], token));
            oldest_ = (oldest_ + 1) % window_.size();
        }
    }
    int32_t &place = occurrence_of_[static_cast<size_t>(token)];
    if (place >= 0) {
        ++occurrences_[static_cast<size_t>(place)].count;
    } else {
        place = static_cast<int32_t>(occurrences_.size());
        occurrences_.push_back({token, 1});
    }
}

void Sampler::forget(Token token) {
    const auto place = static_cast<size_t>(occurrence_of_[static_cast<size_t>(token)]);
    if (--occurrences_[place].count > 0) return;
    occurrences_[place] = occurrences_.back();
    occurrence_of_[static_cast<size_t>(occurrences_[place].token)] = static_cast<int32_t>(place);
    occurrences_.pop_back();
    occurrence_of_[static_cast<size_t>(token)] = -1;
}

bool Sampler::better(const Candidate &a, const Candidate &b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

// Keskar et al. 2019 (CTRL) for the repetition penalty; the other two as in the OpenAI API.
float Sampler::penalised(float logit, uint32_t count) const {
    if (logit > 0)
        logit /= params_.repeat_penalty;
    else
        logit *= params_.repeat_penalty;
    logit -= static_cast<float>(count) * params_.frequency_penalty + params_.presence_penalty;
    return std::min(logit, FLT_MAX);
}

size_t Sampler::candidates_needed() const {
    const bool greedy = params_.temperature <= 0;
    const auto raises = [](const LogitBias &each) { return each.bias > 0; };
    if ((!greedy && params_.top_k == 0) || std::ranges::any_of(params_.logit_bias, raises) ||
        (penalises_ && (params_.repeat_penalty < 1 || params_.frequency_penalty < 0 ||
                        params_.presence_penalty < 0)))
        return vocabulary_size_;
    // Each lowered token may make room for one more.
    const size_t kept = greedy ? 1 : static_cast<size_t>(params_.top_k);
    return std::min(vocabulary_size_, kept + params_.logit_bias.size() + occurrences_.size());
}

void Sampler::next_draws(std::span<TokenDraw> draws) const {
    Xoshiro256 random = random_;
    for (TokenDraw &draw : draws) {
        // Rounded down, so that it stays below 1.
        const double uniform = params_.temperature > 0 ? random.uniform() : 0;
        draw = {params_.temperature, static_cast<float>(params_.top_k), params_.top_p,
                params_.min_p, static_cast<float>(std::floor(uniform * 0x1p24)) * 0x1p-24f};
    }
}

void Sampler::drawn(size_t count) {
    for (size_t i = 0; params_.temperature > 0 && i < count; ++i)
        random_.next();
}

Token Sampler::sample(std::span<const float> logits) {
    logits = logits.first(std::min(logits.size(), vocabulary_size_));
    logits_.resize(logits.size());
    std::ranges::transform(logits, logits_.begin(), sanitised);
    adjust_logits();
    if (params_.temperature <= 0) {
        const auto best = std::ranges::max_element(logits_); // the first of equals
        return best == logits_.end() ? 0 : static_cast<Token>(best - logits_.begin());
    }
    take_candidates();
    return candidates_.empty() ? 0 : choose();
}

void Sampler::adjust_logits() {
    for (const LogitBias &each : params_.logit_bias)
        if (const auto i = static_cast<size_t>(each.token); i < logits_.size())
            logits_[i] = std::min(logits_[i] + each.bias, FLT_MAX);
    for (const Occurrence &each : occurrences_)
        if (const auto i = static_cast<size_t>(each.token); i < logits_.size())
            logits_[i] = penalised(logits_[i], each.count);
}

// The top-k of logits_, by rising token.
void Sampler::take_candidates() {
    candidates_.clear();
    const size_t kept = params_.top_k > 0 ? static_cast<size_t>(params_.top_k) : logits_.size();
    const bool some = kept < logits_.size();
    candidates_.reserve(std::min(kept, logits_.size()));
    for (size_t i = 0; i < logits_.size(); ++i) {
        const Candidate candidate{logits_[i], static_cast<Token>(i)};
        if (candidate.logit == kForbidden) continue;
        if (candidates_.size() < kept) {
            candidates_.push_back(candidate);
            if (some && candidates_.size() == kept)
                std::ranges::make_heap(candidates_, better);      // the worst in front
        } else if (candidate.logit > candidates_.front().logit) { // of equals the first stays
            std::ranges::pop_heap(candidates_, better);
            candidates_.back() = candidate;
            std::ranges::push_heap(candidates_, better);
        }
    }
    if (some) std::ranges::sort(candidates_, {}, &Candidate::token);
}

Token Sampler::sample(std::span<const float> values, std::span<const Token> ids) {
    candidates_.clear();
    candidates_.reserve(values.size());
    Token lowest = std::numeric_limits<Token>::max();
    for (size_t i = 0; i < std::min(values.size(), ids.size()); ++i) {
        if (ids[i] < 0 || static_cast<size_t>(ids[i]) >= vocabulary_size_) continue;
        lowest = std::min(lowest, ids[i]);
        float logit = biased(sanitised(values[i]), ids[i]);
        if (penalises_)
            if (const int32_t place = occurrence_of_[static_cast<size_t>(ids[i])]; place >= 0)
                logit = penalised(logit, occurrences_[static_cast<size_t>(place)].count);
        if (logit != kForbidden) candidates_.push_back({logit, ids[i]});
    }
    if (candidates_.empty()) return lowest == std::numeric_limits<Token>::max() ? 0 : lowest;
    if (params_.temperature <= 0) return std::ranges::min_element(candidates_, better)->token;
    if (const auto kept = static_cast<size_t>(params_.top_k);
        kept > 0 && kept < candidates_.size()) {
        std::ranges::nth_element(candidates_, candidates_.begin() + params_.top_k, better);
        candidates_.resize(kept);
    }
    std::ranges::sort(candidates_, {}, &Candidate::token);
    return choose();
}

float Sampler::biased(float logit, Token token) const {
    const auto found = std::ranges::lower_bound(params_.logit_bias, token, {}, &LogitBias::token);
    if (found == params_.logit_bias.end() || found->token != token) return logit;
    return std::min(logit + found->bias, FLT_MAX);
}

Token Sampler::choose() {
    // However many each step keeps, the next call finds room for as many as can come.
    ranked_.reserve(candidates_.capacity());
    weights_.reserve(candidates_.capacity());
    const float best = std::ranges::min_element(candidates_, better)->logit;
    if (params_.top_p < 1) keep_top_p(best);
    if (params_.min_p > 0) keep_min_p(best);
    return draw(best);
}

// Ranks the candidates in growing parts until their weights reach top_p of the whole.
void Sampler::keep_top_p(float best) {
    const auto weight = [&](const Candidate &each) {
        return exp_negative(static_cast<double>(each.logit) - best);
    };
    double total = 0;
    for (const Candidate &each : candidates_)
        total += weight(each);
    const double wanted = static_cast<double>(params_.top_p) * total;
    ranked_ = candidates_;
    double sum = 0;
    auto done = ranked_.begin();
    for (ptrdiff_t part = 64; done != ranked_.end(); part *= 4) {
        const auto end = done + std::min(part, ranked_.end() - done);
        if (end != ranked_.end()) std::nth_element(done, end, ranked_.end(), better);
        std::sort(done, end, better);
        for (; done != end; ++done) {
            sum += weight(*done);
            if (sum < wanted) continue;
            const Candidate last = *done;
            std::erase_if(candidates_, [&](const Candidate &each) { return better(last, each); });
            return;
        }
    }
}

void Sampler::keep_min_p(float best) {
    const double least = params_.min_p;
    std::erase_if(candidates_, [&](const Candidate &each) {
        return exp_negative(static_cast<double>(each.logit) - best) < least;
    });
}

Token Sampler::draw(float best) {
    weights_.clear();
    double total = 0;
    for (const Candidate &each : candidates_) {
        weights_.push_back(
            exp_negative((static_cast<double>(each.logit) - best) / params_.temperature));
        total += weights_.back();
    }
    // uniform() < 1, so the sum passes this at a token of positive weight.
    const double target = random_.uniform() * total;
    double sum = 0;
    for (size_t i = 0; i < candidates_.size(); ++i)
        if ((sum += weights_[i]) > target) return candidates_[i].token;
    return std::ranges::min_element(candidates_, better)->token;
}

} // namespace realizar
