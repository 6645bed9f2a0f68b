// Sampling is on the way of every token: after the first calls it must not allocate.
#include "core/sampling/sampler.h"

#include "tests/sampling/naive.h"
#include "tests/support/allocation_count.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace realizar;

namespace {

TEST(Sampler, NoAllocationAfterTheFirst) {
    constexpr size_t kVocabulary = 4099;
    SamplerParams penalised;
    penalised.repeat_penalty = 1.2f;
    penalised.repeat_last_n = 16;
    SamplerParams without_top_k = penalised;
    without_top_k.top_k = 0;
    without_top_k.repeat_last_n = -1;
    std::mt19937_64 random(61);
    const auto logits = test::random_logits(random, kVocabulary, 2);
    std::vector<Token> ids(kVocabulary);
    std::iota(ids.begin(), ids.end(), 0);
    for (const SamplerParams &params : {SamplerParams{}, penalised, without_top_k}) {
        auto sampler = Sampler::create(params, kVocabulary);
        ASSERT_TRUE(sampler.ok());
        const auto step = [&] {
            sampler->accept(sampler->sample(logits));
            sampler->accept(sampler->sample(logits, ids));
        };
        const size_t at_start = test::allocation_count();
        step();
        EXPECT_GT(test::allocation_count(), at_start); // the counter counts
        const size_t before = test::allocation_count();
        for (int i = 0; i < 200; ++i)
            step();
        sampler->reset();
        step();
        EXPECT_EQ(test::allocation_count(), before);
    }
}

} // namespace
