// Sampling is on the way of every token: after the first calls it must not allocate.
#include "core/sampling/sampler.h"

#include "tests/sampling/naive.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>

namespace {

std::atomic<size_t> allocations{0};

} // namespace

void *operator new(size_t size) {
    ++allocations;
    if (void *memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

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
        const size_t at_start = allocations;
        step();
        EXPECT_GT(allocations, at_start); // the counter counts
        const size_t before = allocations;
        for (int i = 0; i < 200; ++i)
            step();
        sampler->reset();
        step();
        EXPECT_EQ(allocations, before);
    }
}

} // namespace
