#include "core/sampling/sampler.h"

#include "tests/sampling/naive.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace realizar;
using test::naive_probabilities;
using test::random_logits;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Sampler make_sampler(const SamplerParams &params, size_t vocabulary) {
    auto made = Sampler::create(params, vocabulary);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return std::move(*made);
}

// All filters off.
SamplerParams plain(float temperature = 1.0f) {
    SamplerParams params;
    params.temperature = temperature;
    params.top_k = 0;
    params.top_p = 1;
    params.min_p = 0;
    return params;
}

SamplerParams with(SamplerParams params, auto member, auto value) {
    params.*member = value;
    return params;
}

// The numbers that a sampler of this seed will use, one for each draw.
std::vector<double> uniforms(uint64_t seed, size_t count) {
    SplitMix64 spread(seed);
    std::array<uint64_t, 4> s;
    for (uint64_t &word : s)
        word = spread.next();
    const auto rotate = [](uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); };
    std::vector<double> result;
    for (size_t i = 0; i < count; ++i) {
        const uint64_t value = rotate(s[1] * 5, 7) * 9;
        const uint64_t old = s[1];
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= old << 17;
        s[3] = rotate(s[3], 45);
        result.push_back(static_cast<double>(value >> 11) / 9007199254740992.0);
    }
    return result;
}

// Draws with the definition; counts draws that were compared and those that differed.
struct Comparison {
    size_t compared = 0, different = 0;
};

Comparison compare_with_definition(const SamplerParams &params, const SamplerParams &definition,
                                   size_t vocabulary, double spread, size_t draws) {
    Sampler sampler = make_sampler(params, vocabulary);
    const auto numbers = uniforms(params.seed, draws);
    std::mt19937_64 random(params.seed + vocabulary);
    std::vector<Token> history;
    Comparison result;
    for (size_t i = 0; i < draws; ++i) {
        const auto logits = random_logits(random, vocabulary, spread);
        const Token token = sampler.sample(logits);
        const Token expected =
            test::naive_draw(naive_probabilities(definition, logits, history), numbers[i]);
        if (expected >= 0) {
            ++result.compared;
            result.different += token != expected;
        }
        history.push_back(token);
        sampler.accept(token);
    }
    return result;
}

struct Case {
    const char *name;
    SamplerParams params;
};

std::vector<Case> cases() {
    using P = SamplerParams;
    SamplerParams penalties = with(plain(), &P::repeat_penalty, 1.3f);
    penalties.frequency_penalty = 0.4f;
    penalties.presence_penalty = 0.7f;
    SamplerParams all = penalties;
    all.temperature = 0.8f;
    all.top_k = 17;
    all.top_p = 0.9f;
    all.min_p = 0.02f;
    all.repeat_last_n = 9;
    all.logit_bias = {{3, 2.5f}, {0, -kInfinity}, {5, -1.0f}};
    return {
        {"plain", plain()},
        {"hot", plain(3.0f)},
        {"cold", plain(0.2f)},
        {"top_k_1", with(plain(), &P::top_k, 1)},
        {"top_k_7", with(plain(), &P::top_k, 7)},
        {"top_k_huge", with(plain(), &P::top_k, INT32_MAX)},
        {"top_p", with(plain(), &P::top_p, 0.7f)},
        {"top_p_0", with(plain(), &P::top_p, 0.0f)},
        {"top_p_wide", with(plain(), &P::top_p, 0.999f)},
        {"min_p", with(plain(), &P::min_p, 0.1f)},
        {"min_p_1", with(plain(), &P::min_p, 1.0f)},
        {"penalties", penalties},
        {"penalties_short_window", with(penalties, &P::repeat_last_n, 3)},
        {"penalties_no_window", with(penalties, &P::repeat_last_n, 0)},
        {"penalties_all", with(penalties, &P::repeat_last_n, -1)},
        {"rewards", with(plain(), &P::frequency_penalty, -0.3f)},
        {"defaults", SamplerParams{}},
        {"all", all},
    };
}

TEST(Sampler, EqualsTheDefinition) {
    for (const Case &each : cases())
        for (const size_t vocabulary : {7u, 129u, 1000u, 2003u})
            for (const double spread : {0.5, 3.0}) {
                SCOPED_TRACE(std::string(each.name) + ", " + std::to_string(vocabulary));
                SamplerParams params = each.params;
                params.seed = 1000 + vocabulary;
                const Comparison result =
                    compare_with_definition(params, params, vocabulary, spread, 40);
                EXPECT_GT(result.compared, 30u);
                EXPECT_EQ(result.different, 0u);
            }
}

// Written down once, from a separate program of another language: must never change, since people
// keep seeds.
TEST(Sampler, PinnedSequence) {
    SamplerParams params;
    params.seed = 42;
    Sampler sampler = make_sampler(params, 101);
    std::vector<float> logits(101);
    for (size_t i = 0; i < logits.size(); ++i)
        logits[i] = static_cast<float>(i * 37 % 101) / 16;
    const std::vector<Token> expected{8,  38, 68, 90, 98, 79, 73, 87, 79, 60, 68, 30,
                                      79, 30, 68, 90, 60, 87, 68, 68, 13, 19, 46, 60};
    std::vector<Token> found;
    while (found.size() < expected.size())
        found.push_back(sampler.sample(logits));
    EXPECT_EQ(found, expected);
}

// EqualsTheDefinition sees each parameter: a definition that is slightly off must differ.
TEST(Sampler, EqualsTheDefinitionNegativeControl) {
    using P = SamplerParams;
    const SamplerParams all = cases().back().params;
    const std::vector<Case> wrong = {
        {"temperature", with(all, &P::temperature, 1.1f)},
        {"top_k", with(all, &P::top_k, 4)},
        {"top_p", with(all, &P::top_p, 0.5f)},
        {"min_p", with(all, &P::min_p, 0.3f)},
        {"repeat_penalty", with(all, &P::repeat_penalty, 1.0f)},
        {"frequency_penalty", with(all, &P::frequency_penalty, 0.0f)},
        {"presence_penalty", with(all, &P::presence_penalty, -0.7f)},
        {"repeat_last_n", with(all, &P::repeat_last_n, 2)},
        {"logit_bias", with(all, &P::logit_bias, std::vector<LogitBias>{})},
        {"seed", all},
    };
    for (const Case &each : wrong) {
        SamplerParams params = all;
        params.seed = std::string_view(each.name) == "seed" ? 2 : 1;
        SamplerParams definition = each.params;
        definition.seed = params.seed;
        if (params.seed == 2) params.top_k = 3;
        EXPECT_GT(compare_with_definition(params, definition, 12, 1.0, 400).different, 0u)
            << each.name;
    }
}

// Which tokens come out at all, and how often: chi-square against the exact probabilities.
double chi_square(const SamplerParams &params, std::span<const float> logits,
                  const std::vector<double> &probabilities, size_t draws, size_t &degrees) {
    Sampler sampler = make_sampler(params, logits.size());
    std::vector<size_t> counts(logits.size(), 0);
    for (size_t i = 0; i < draws; ++i)
        ++counts[static_cast<size_t>(sampler.sample(logits))];
    // Cells of fewer than 8 expected draws go together.
    double sum = 0, rest_expected = 0, rest_found = 0;
    degrees = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
        const double expected = probabilities[i] * static_cast<double>(draws);
        const auto found = static_cast<double>(counts[i]);
        if (expected == 0) {
            EXPECT_EQ(found, 0) << "token " << i << " is filtered";
        } else if (expected < 8) {
            rest_expected += expected;
            rest_found += found;
        } else {
            sum += (found - expected) * (found - expected) / expected;
            ++degrees;
        }
    }
    if (rest_expected > 0) {
        sum += (rest_found - rest_expected) * (rest_found - rest_expected) / rest_expected;
        ++degrees;
    }
    return sum;
}

TEST(Sampler, ChiSquare) {
    std::mt19937_64 random(3);
    const auto logits = random_logits(random, 211, 1.5);
    for (const Case &each : cases()) {
        if (std::string_view(each.name).starts_with("penalties")) continue;
        size_t degrees = 0;
        const double found = chi_square(each.params, logits,
                                        naive_probabilities(each.params, logits), 20000, degrees);
        // Mean n, variance 2 n: five deviations and some for the skew at small n.
        const auto n = static_cast<double>(degrees);
        EXPECT_LT(found, n + 5 * std::sqrt(2 * n) + 10) << each.name;
        if (degrees < 5) continue;
        // Negative control: even ids too rare by a third.
        auto wrong = naive_probabilities(each.params, logits);
        for (size_t i = 0; i < wrong.size(); i += 2)
            wrong[i] *= 0.7;
        const double total = std::accumulate(wrong.begin(), wrong.end(), 0.0);
        for (double &probability : wrong)
            probability /= total;
        size_t same = 0;
        EXPECT_GT(chi_square(each.params, logits, wrong, 20000, same),
                  n + 5 * std::sqrt(2 * n) + 10)
            << each.name;
    }
}

TEST(Sampler, GreedyTakesTheBestAndLowest) {
    Sampler sampler = make_sampler(with(SamplerParams{}, &SamplerParams::temperature, 0.0f), 6);
    EXPECT_EQ(sampler.sample(std::vector<float>{1, 5, 2, 5, 4, 5}), 1);
    EXPECT_EQ(sampler.sample(std::vector<float>{-3, -2, -1, -1, -5, -9}), 2);
    const std::vector<float> values{5, 7, 7};
    EXPECT_EQ(sampler.sample(values, std::vector<Token>{1, 4, 2}), 2);
}

TEST(Sampler, TiesAtTheTopKBorderKeepTheLowestIds) {
    Sampler sampler = make_sampler(with(plain(), &SamplerParams::top_k, 3), 9);
    const std::vector<float> logits{0, 1, 0, 1, 1, 0, 1, 1, 0}; // 1, 3, 4, 6, 7 are equal
    std::vector<Token> ids(9);
    std::iota(ids.rbegin(), ids.rend(), 0);
    const std::vector<float> values(logits.rbegin(), logits.rend());
    std::vector<int> seen(9, 0);
    for (int i = 0; i < 200; ++i) {
        ++seen[static_cast<size_t>(sampler.sample(logits))];
        ++seen[static_cast<size_t>(sampler.sample(values, ids))];
    }
    for (size_t i = 0; i < 9; ++i)
        EXPECT_EQ(seen[i] > 0, i == 1 || i == 3 || i == 4) << i;
}

TEST(Sampler, OddLogits) {
    for (const Case &each : cases()) {
        SCOPED_TRACE(each.name);
        Sampler sampler = make_sampler(each.params, 8);
        for (int i = 0; i < 20; ++i) {
            const Token nan =
                sampler.sample(std::vector<float>{kNan, kNan, 1, kNan, -kInfinity, kNan, 2, kNan});
            EXPECT_TRUE(nan == 2 || nan == 6) << nan;
            const Token infinite =
                sampler.sample(std::vector<float>{0, kInfinity, 3, kNan, kInfinity, 1, 2, 3});
            EXPECT_TRUE(infinite == 1 || infinite == 4) << infinite;
            EXPECT_EQ(sampler.sample(std::vector<float>(8, kNan)), 0);
            EXPECT_EQ(sampler.sample(std::vector<float>(8, -kInfinity)), 0);
            const Token huge =
                sampler.sample(std::vector<float>{-3e38f, -3e38f, 3e38f, -3e38f, 3e38f, 1, 2, 3});
            EXPECT_TRUE(huge == 2 || huge == 4) << huge;
            const std::vector<float> nothing(3, kNan);
            EXPECT_EQ(sampler.sample(nothing, std::vector<Token>{5, 3, 7}), 3);
        }
        EXPECT_EQ(sampler.sample(std::vector<float>{}), 0);
        EXPECT_EQ(sampler.sample(std::vector<float>{}, std::vector<Token>{}), 0);
    }
}

// The best candidates_needed() in any order give what all logits give, history and all.
TEST(Sampler, CandidatesEqualAllLogits) {
    for (const Case &each : cases()) {
        SCOPED_TRACE(each.name);
        constexpr size_t kVocabulary = 301;
        Sampler dense = make_sampler(each.params, kVocabulary);
        Sampler sparse = make_sampler(each.params, kVocabulary);
        std::mt19937_64 random(5);
        for (int i = 0; i < 100; ++i) {
            const auto logits = random_logits(random, kVocabulary, 1.0);
            std::vector<Token> ids(kVocabulary);
            std::iota(ids.begin(), ids.end(), 0);
            std::ranges::stable_sort(ids, [&](Token a, Token b) {
                return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
            });
            ASSERT_LE(sparse.candidates_needed(), kVocabulary);
            ids.resize(sparse.candidates_needed());
            std::shuffle(ids.begin(), ids.end(), random);
            std::vector<float> values;
            for (const Token id : ids)
                values.push_back(logits[static_cast<size_t>(id)]);
            const Token token = dense.sample(logits);
            ASSERT_EQ(sparse.sample(values, ids), token) << i;
            dense.accept(token);
            sparse.accept(token);
        }
    }
}

// One candidate too few must show, or candidates_needed() would be larger than it says.
TEST(Sampler, CandidatesNeededIsNotTooMany) {
    SamplerParams params = with(plain(0.0f), &SamplerParams::presence_penalty, 100.0f);
    Sampler sampler = make_sampler(params, 4);
    sampler.accept(3);
    EXPECT_EQ(sampler.candidates_needed(), 2u);
    const std::vector<float> logits{1, 2, 3, 4};
    EXPECT_EQ(sampler.sample(logits), 2);
    EXPECT_EQ(sampler.sample(std::vector<float>{4}, std::vector<Token>{3}), 3);
    EXPECT_EQ(sampler.sample(std::vector<float>{4, 3}, std::vector<Token>{3, 2}), 2);
}

TEST(Sampler, ResetRepeats) {
    SamplerParams params = cases().back().params;
    params.seed = 77;
    Sampler sampler = make_sampler(params, 300);
    const auto run = [&] {
        std::mt19937_64 random(1);
        std::vector<Token> tokens;
        for (int i = 0; i < 50; ++i) {
            tokens.push_back(sampler.sample(random_logits(random, 300, 2)));
            sampler.accept(tokens.back());
        }
        return tokens;
    };
    const auto first = run();
    EXPECT_NE(run(), first); // history and generator have moved on
    sampler.reset();
    EXPECT_EQ(run(), first);
}

TEST(Sampler, AcceptIgnoresForeignTokens) {
    Sampler sampler = make_sampler(with(plain(0.0f), &SamplerParams::presence_penalty, 9.0f), 3);
    sampler.accept(-1);
    sampler.accept(3);
    sampler.accept(INT32_MAX);
    EXPECT_EQ(sampler.sample(std::vector<float>{1, 2, 1.5f}), 1);
    EXPECT_EQ(sampler.sample(std::vector<float>{1, 2}, std::vector<Token>{-4, 3}), 0);
}

TEST(Sampler, BadParameters) {
    using P = SamplerParams;
    const SamplerParams good;
    const std::pair<const char *, SamplerParams> bad[] = {
        {"temperature", with(good, &P::temperature, kNan)},
        {"temperature", with(good, &P::temperature, kInfinity)},
        {"top_k", with(good, &P::top_k, -1)},
        {"top_p", with(good, &P::top_p, 1.01f)},
        {"top_p", with(good, &P::top_p, kNan)},
        {"min_p", with(good, &P::min_p, -0.1f)},
        {"repeat_last_n", with(good, &P::repeat_last_n, -2)},
        {"repeat_last_n", with(good, &P::repeat_last_n, INT32_MAX)},
        {"repeat_penalty", with(good, &P::repeat_penalty, 0.0f)},
        {"repeat_penalty", with(good, &P::repeat_penalty, -1.0f)},
        {"frequency_penalty", with(good, &P::frequency_penalty, kInfinity)},
        {"presence_penalty", with(good, &P::presence_penalty, kNan)},
        {"logit_bias", with(good, &P::logit_bias, std::vector<LogitBias>{{10, 1.0f}})},
        {"logit_bias", with(good, &P::logit_bias, std::vector<LogitBias>{{-1, 1.0f}})},
        {"logit_bias", with(good, &P::logit_bias, std::vector<LogitBias>{{1, kNan}})},
        {"logit_bias", with(good, &P::logit_bias, std::vector<LogitBias>{{1, kInfinity}})},
        {"logit_bias", with(good, &P::logit_bias, std::vector<LogitBias>{{1, 1}, {1, 2}})},
    };
    for (const auto &[name, params] : bad) {
        const auto made = Sampler::create(params, 10);
        ASSERT_FALSE(made.ok()) << name;
        EXPECT_EQ(made.error().code, Code::invalid_argument);
        EXPECT_EQ(made.error().tag, "bad_sampling_parameter");
        EXPECT_TRUE(made.error().message.starts_with(name)) << made.error().message;
        EXPECT_NE(made.error().message.find("expected"), std::string::npos);
    }
    EXPECT_FALSE(Sampler::create(good, 0).ok());
    EXPECT_TRUE(Sampler::create(good, 10).ok());
}

TEST(Sampler, DrawsAreItsNextNumbers) {
    constexpr size_t kCount = 6;
    auto params = plain(0.7f);
    params.seed = 11;
    params.top_k = 17;
    params.top_p = 0.8f;
    params.min_p = 0.1f;
    Sampler sampler = make_sampler(params, 50), twin = make_sampler(params, 50);
    const auto expected = uniforms(11, kCount);
    std::vector<TokenDraw> draws(kCount);
    for (int twice = 0; twice < 2; ++twice) { // asking uses nothing up
        sampler.next_draws(draws);
        for (size_t i = 0; i < kCount; ++i) {
            EXPECT_LE(draws[i].uniform, expected[i]);
            EXPECT_GT(draws[i].uniform, expected[i] - 0x1p-24);
            EXPECT_EQ(draws[i].temperature, 0.7f);
            EXPECT_EQ(draws[i].top_k, 17.0f);
            EXPECT_EQ(draws[i].top_p, 0.8f);
            EXPECT_EQ(draws[i].min_p, 0.1f);
        }
    }
    std::mt19937_64 random(3);
    const auto logits = random_logits(random, 50, 2.0);
    sampler.drawn(2);
    twin.sample(logits);
    twin.sample(logits);
    for (int i = 0; i < 8; ++i)
        EXPECT_EQ(sampler.sample(logits), twin.sample(logits));
    params.temperature = 0; // no numbers at all
    Sampler greedy = make_sampler(params, 50);
    greedy.drawn(3);
    greedy.next_draws(draws);
    EXPECT_EQ(draws[0].uniform, 0.0f);
}

TEST(Sampler, PlainMeansLogitsAlone) {
    EXPECT_TRUE(make_sampler(plain(), 9).plain());
    EXPECT_FALSE(make_sampler(with(plain(), &SamplerParams::repeat_penalty, 1.1f), 9).plain());
    EXPECT_FALSE(make_sampler(with(plain(), &SamplerParams::presence_penalty, 0.1f), 9).plain());
    auto biased = plain();
    biased.logit_bias = {{3, 1}};
    EXPECT_FALSE(make_sampler(biased, 9).plain());
}

} // namespace
