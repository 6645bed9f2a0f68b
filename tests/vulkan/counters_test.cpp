// What a token costs, exactly: dispatches, barriers, submissions and bytes of the whole draft model, and
// no allocation once it is warm. The figures are those of plugins/vulkan/README.md.
#include "core/engine/generate.h"
#include "tests/support/engines.h"

namespace realizar {
namespace {

struct Cost {
    uint64_t submissions, dispatches, barriers, written, read;
    bool operator==(const Cost &) const = default;
};

void PrintTo(const Cost &cost, std::ostream *out) {
    *out << cost.submissions << " submissions, " << cost.dispatches << " dispatches, "
         << cost.barriers << " barriers, " << cost.written << " bytes written, " << cost.read
         << " read";
}

class VulkanCounters : public testing::Test {
  protected:
    void open(const std::string &model) {
        EngineOptions options;
        options.context = 128;
        RZ_ASSERT_OK(engine_, test::load_engine(std::filesystem::path(REALIZAR_SOURCE_DIR) /
                                                    "models" / model,
                                                "vulkan", options));
        RZ_ASSERT_OK(session_, Session::create(engine_));
        device_ = engine_->runner().devices().front();
    }

    // The counters of `count` tokens behind a prompt of 70 and `warm` more: they fall into one bucket of
    // keys, whose recordings exist by then.
    Cost cost(SamplerParams sampling, uint32_t per_submission, uint32_t warm, uint32_t count) {
        session_->cut(0);
        std::vector<Token> prompt;
        for (Token token = 0; token < 70; ++token)
            prompt.push_back(token * 7 % 500 + 10);
        GenerateOptions options;
        options.sampling = sampling;
        options.ignore_end = true;
        options.tokens_per_submission = per_submission;
        options.max_tokens = warm + 1; // the first is chosen from the prompt's logits
        EXPECT_TRUE(generate(*session_, prompt, options).ok());
        const auto sampler = Sampler::create(sampling, engine_->config().vocabulary);
        EXPECT_TRUE(sampler.ok());
        const rz_counters before = counters();
        run(*sampler, per_submission, count);
        const rz_counters after = counters();
        EXPECT_EQ(after.allocations, before.allocations);
        EXPECT_EQ(after.memory_used, before.memory_used);
        return {after.submissions - before.submissions, after.dispatches - before.dispatches,
                after.barriers - before.barriers, after.bytes_written - before.bytes_written,
                after.bytes_read - before.bytes_read};
    }

    void run(const Sampler &sampler, uint32_t per_submission, uint32_t count) {
        const uint32_t candidates = per_submission ? session_->candidates_for(sampler) : 0;
        Token token = 17;
        for (uint32_t done = 0; done < count;) {
            if (candidates == 0) {
                EXPECT_TRUE(session_->append(std::span(&token, 1)).ok());
                ++done;
                continue;
            }
            std::vector<TokenDraw> draws(per_submission);
            std::vector<Token> chosen(per_submission);
            sampler.next_draws(draws);
            const auto made = session_->append_ahead(token, candidates, draws, chosen);
            ASSERT_TRUE(made.ok());
            token = chosen.back();
            done += static_cast<uint32_t>(*made);
        }
    }

    rz_counters counters() {
        const auto now = device_->counters();
        EXPECT_TRUE(now.ok());
        return now.ok() ? *now : rz_counters{};
    }

    std::shared_ptr<Engine> engine_;
    std::unique_ptr<Session> session_;
    DevicePtr device_;
};

// [embedding], [angles], five a layer (norm, Q, K, V, rotation and cache; attention; its output; norm,
// gate and up; down), [row of the logits], [norm and head]; then the choice.
TEST_F(VulkanCounters, OfATokenAreExact) {
    RZ_REQUIRE_BACKEND("vulkan");
    SamplerParams greedy, sampled;
    greedy.temperature = 0;
    struct Case {
        const char *model;
        uint64_t layers;
    };
    for (const Case &c : {Case{"fable-21m-q8_0.gguf", 6}, Case{"fable-draft-3m-q8_0.gguf", 2}}) {
        SCOPED_TRACE(c.model);
        ASSERT_NO_FATAL_FAILURE(open(c.model));
        const uint64_t step = 5 * c.layers + 4, barriers = 5 * c.layers + 4;
        const uint64_t in = 6 * 4 + 2 * 4; // two pages
        const uint64_t draw = sizeof(TokenDraw), logits = engine_->config().vocabulary * 4;
        EXPECT_EQ(cost(greedy, 0, 2, 1), (Cost{1, step, barriers, in, logits}));
        EXPECT_EQ(cost(sampled, 1, 2, 1), (Cost{1, step + 3, barriers + 3, in + draw, 4}));
        if (c.layers > 2) continue; // the rest is the same for all
        EXPECT_EQ(cost(greedy, 1, 2, 1), (Cost{1, step + 2, barriers + 2, in, 4}));
        // Ids stay on the device but for the first; the barriers around a submission come once.
        EXPECT_EQ(cost(greedy, 8, 8, 8),
                  (Cost{1, 8 * (step + 2), 8 * (barriers + 1) + 2, 8 * in - 7 * 4, 8 * 4}));
        EXPECT_EQ(cost(sampled, 8, 8, 16), (Cost{2, 16 * (step + 3), 2 * (8 * (barriers + 2) + 2),
                                                 2 * (8 * (in + draw) - 7 * 4), 16 * 4}));
    }
}

} // namespace
} // namespace realizar
