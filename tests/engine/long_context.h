// Contexts of 100 thousand positions. The cache is filled with numbers instead of evaluating so many
// tokens; then one token sees them all, on a backend and on the reference.
#pragma once

#include "core/engine/session.h"
#include "core/quant/half.h"
#include "tests/support/engines.h"

#include <cmath>
#include <cstring>
#include <random>

namespace realizar::test {

constexpr uint32_t kPositions = 100'010;
// Keys are near zero, so every position has about the same weight, 1 / kPositions; a value that is
// this much larger than the others then outweighs all of them together.
constexpr float kNeedle = 30'000;

class LongContext : public testing::Test {
  protected:
    static std::shared_ptr<Engine> load(const char *backend, uint32_t context) {
        EngineOptions options;
        options.context = context;
        auto engine = load_engine(draft_model(), backend, options);
        EXPECT_TRUE(engine.ok()) << message_of(engine.error());
        return engine.ok() ? *engine : nullptr;
    }

    // Parts of a sequence of kPositions, as F16: keys (every other part) small, values around 1.
    void fill(const Engine &engine) {
        parts_ = engine.sequence_parts(0);
        uint64_t bytes = 0;
        for (SequencePart &part : parts_) {
            part.count = kPositions;
            bytes += part.bytes();
        }
        data_.resize(bytes);
        std::mt19937 random(7);
        uint64_t at = 0;
        for (size_t i = 0; i < parts_.size(); ++i) {
            const float scale = i % 2 == 0 ? 1e-3f : 1.0f;
            for (uint64_t n = 0; n < parts_[i].bytes() / 2; ++n, at += 2) {
                const auto unit = static_cast<float>(random() % 2001) / 1000 - 1;
                const uint16_t half = f32_to_f16(unit * scale);
                std::memcpy(&data_[at], &half, sizeof half);
            }
        }
    }

    // The value rows of one position in all layers become `value` with alternating signs.
    void put_needle(uint32_t position, float value) {
        uint64_t at = 0;
        for (size_t i = 0; i < parts_.size(); at += parts_[i++].bytes()) {
            if (i % 2 == 0) continue;
            for (uint64_t n = 0; n < parts_[i].row_bytes / 2; ++n) {
                const uint16_t half = f32_to_f16(n % 3 == 0 ? value : -value);
                std::memcpy(&data_[at + position * parts_[i].row_bytes + 2 * n], &half, 2);
            }
        }
    }

    std::vector<float> logits(Engine &engine) {
        const auto sequence = engine.acquire_sequence();
        EXPECT_TRUE(sequence.ok());
        const Status written = engine.write_sequence(*sequence, kPositions, parts_, data_);
        EXPECT_TRUE(written.ok()) << message_of(written.error());
        std::vector<float> out(engine.config().vocabulary);
        const BatchRow row{17, kPositions, *sequence, true};
        const Status ran = engine.run(std::span(&row, 1), out);
        EXPECT_TRUE(ran.ok()) << message_of(ran.error());
        engine.release_sequence(*sequence);
        return out;
    }

    static double distance(const std::vector<float> &a, const std::vector<float> &b) {
        double difference = 0, norm = 0;
        for (size_t i = 0; i < a.size(); ++i) {
            difference += std::pow(a[i] - b[i], 2);
            norm += std::pow(b[i], 2);
        }
        return std::sqrt(difference / norm);
    }

    // A value at either end of the past is seen on `backend` as on the reference.
    void expect_needles(const char *backend, uint32_t context) {
        const auto engine = load(backend, context), reference = load("reference", kPositions + 1);
        ASSERT_TRUE(engine && reference);
        fill(*engine);
        ASSERT_EQ(parts_.size(), 4u);
        const auto without = logits(*engine);
        constexpr double kTolerance = 2e-2; // 8-bit activations in two layers
        for (const uint32_t position : {100'000u, 12u}) {
            const auto clean = data_;
            put_needle(position, kNeedle);
            const auto found = logits(*engine);
            EXPECT_LT(distance(found, logits(*reference)), kTolerance) << position;
            EXPECT_GT(distance(found, without), 10 * kTolerance) << position;
            data_ = clean;
        }
    }

    std::vector<SequencePart> parts_;
    std::vector<std::byte> data_;
};

} // namespace realizar::test
