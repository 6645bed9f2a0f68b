// What tokens of a model cost on a device, by its counters.
#pragma once

#include "core/engine/generate.h"
#include "tests/support/engines.h"

namespace realizar::test {

struct Cost {
    uint64_t submissions, dispatches, barriers, written, read;
    bool operator==(const Cost &) const = default;
};

inline void PrintTo(const Cost &cost, std::ostream *out) {
    *out << cost.submissions << " submissions, " << cost.dispatches << " dispatches, "
         << cost.barriers << " barriers, " << cost.written << " bytes written, " << cost.read
         << " read";
}

class TokenCosts : public testing::Test {
  protected:
    void open(const std::string &backend, const std::string &model) {
        EngineOptions options;
        options.context = 128;
        RZ_ASSERT_OK(engine_,
                     load_engine(std::filesystem::path(REALIZAR_SOURCE_DIR) / "models" / model,
                                 backend, options));
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

} // namespace realizar::test
