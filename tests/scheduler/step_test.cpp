// Steps in the background, and what a step leaves behind: nothing.
#include "core/graph/builder.h"
#include "tests/scheduler/partial_engines.h"
#include "tests/support/allocation_count.h"

#include <algorithm>
#include <random>

namespace realizar {
namespace {

using test::PartialBackend;
using test::SecondBackend;

constexpr int64_t kWidth = 37;

// y = (2 x) + (3 x): two parts that need nothing of each other, and one that needs both.
class Steps : public test::PartialEngines {
  protected:
    void SetUp() override {
        PartialEngines::SetUp();
        GraphBuilder b;
        x_ = b.input("x", DType::F32, {b.symbol(1, 5, 1), kWidth});
        const TensorId twice = b.scale(x_, 2), thrice = b.scale(x_, 3);
        y_ = b.output(b.add(twice, thrice), "y");
        RZ_ASSERT_OK(Graph graph, std::move(b).build());
        RunnerOptions options;
        options.devices = {partial_, second_, reference_};
        options.place = [](std::span<const Graph> graphs, const Exclusions &exclusions) {
            const size_t other = exclusions.lost.contains(1) ? 2 : 1;
            Placement placement = {{0, 1, 0, ""}, {1, 2, other, ""}, {2, 3, 0, ""}};
            return Result<std::vector<Placement>>(
                std::vector<Placement>(graphs.size(), std::move(placement)));
        };
        std::vector<Graph> variants;
        variants.push_back(std::move(graph));
        RZ_ASSERT_OK(runner_, Runner::create(std::move(variants), options));
        std::mt19937 random(7);
        std::uniform_real_distribution<float> values(-1, 1);
        in_.resize(5 * kWidth);
        std::ranges::generate(in_, [&] { return values(random); });
        out_.resize(in_.size());
    }
    Status start() {
        updates_ = {{x_, std::as_bytes(std::span(in_))}};
        reads_ = {{y_, std::as_writable_bytes(std::span(out_))}};
        return runner_->start(0, symbols_, updates_, reads_);
    }
    void expect_result() {
        for (size_t i = 0; i < in_.size(); ++i)
            ASSERT_NEAR(out_[i], 5 * in_[i], 1e-5);
        std::ranges::fill(out_, 0.0f);
    }

    TensorId x_ = kNoTensor, y_ = kNoTensor;
    std::unique_ptr<Runner> runner_;
    const std::vector<int64_t> symbols_ = {5};
    std::vector<float> in_, out_;
    std::vector<StepUpdate> updates_;
    std::vector<StepRead> reads_;
};

TEST_F(Steps, IndependentPartsAreUnderWayTogether) {
    PartialBackend::held = SecondBackend::held = true;
    ASSERT_TRUE(start().ok());
    // Neither has ended as far as anybody can tell, and both have begun.
    for (int i = 0; i < 3; ++i) {
        RZ_ASSERT_OK(const bool ended, runner_->poll());
        EXPECT_FALSE(ended);
    }
    EXPECT_EQ(PartialBackend::submits, 1);
    EXPECT_EQ(SecondBackend::submits, 1);
    const auto again = start();
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().tag, "step_running");
    PartialBackend::held = false; // one is not enough
    RZ_ASSERT_OK(const bool early, runner_->poll());
    EXPECT_FALSE(early);
    EXPECT_EQ(PartialBackend::submits, 1);
    SecondBackend::held = false;
    bool ended = false;
    for (int i = 0; i < 1000000 && !ended; ++i) {
        RZ_ASSERT_OK(ended, runner_->poll());
    }
    ASSERT_TRUE(ended);
    EXPECT_EQ(PartialBackend::submits, 2);
    expect_result();
    // Ended is ended.
    EXPECT_TRUE(*runner_->poll());
    EXPECT_TRUE(runner_->wait().ok());
}

TEST_F(Steps, WaitEndsWhatPollHasBegun) {
    for (int round = 0; round < 3; ++round) {
        PartialBackend::held = true;
        ASSERT_TRUE(start().ok());
        for (int i = 0; i < round; ++i)
            EXPECT_FALSE(*runner_->poll());
        ASSERT_TRUE(runner_->wait().ok()); // waiting is longer than asking
        expect_result();
    }
    ASSERT_TRUE(start().ok());
    runner_.reset(); // a step that nobody waited for
}

TEST_F(Steps, ALostDeviceEndsTheStep) {
    for (const bool polling : {true, false}) {
        SecondBackend::submits_left = 0;
        SecondBackend::loses_late = true;
        PartialBackend::held = true; // else the loss would show at once
        ASSERT_TRUE(start().ok());
        PartialBackend::held = false;
        Status status;
        for (int i = 0; polling && status.ok() && i < 1000000; ++i)
            if (auto ended = runner_->poll(); !ended.ok()) status = std::move(ended).error();
        if (!polling) status = runner_->wait();
        ASSERT_FALSE(status.ok());
        EXPECT_EQ(status.error().code, Code::device_lost);
        EXPECT_TRUE(*runner_->poll());
        RZ_ASSERT_OK(const std::string moved, runner_->replace_lost());
        EXPECT_EQ(moved, "second:0 was lost; the model goes on with partial:0 reference:0");
        ASSERT_TRUE(start().ok());
        ASSERT_TRUE(runner_->wait().ok());
        expect_result();
        reset();
        SetUp();
    }
}

// Of a model that is cut into several parts, so that values pass between them.
TEST_F(Steps, ATokenAllocatesNothing) {
    auto choice = test::backends().choose({"cpu", "", true});
    if (!choice.ok()) GTEST_SKIP() << "no CPU backend";
    for (const size_t parts : {1u, 3u}) {
        SCOPED_TRACE(parts);
        EngineOptions engine = options({choice->devices.front()});
        engine.placement.place =
            [&](std::span<const Graph> graphs,
                const Exclusions &exclusions) -> Result<std::vector<Placement>> {
            RZ_ASSIGN(const Support support, find_support(graphs, engine.devices, exclusions));
            const std::vector<Atom> atoms = cut_into_atoms(graphs, support);
            Placement placement;
            for (size_t i = 0; i < parts; ++i) {
                const size_t first = i * atoms.size() / parts, end = (i + 1) * atoms.size() / parts;
                placement.push_back({atoms[first].begin, atoms[end - 1].end, 0, ""});
            }
            return std::vector<Placement>(graphs.size(), placement);
        };
        RZ_ASSERT_OK(const auto loaded, Engine::load(file_, engine));
        ASSERT_EQ(loaded->runner().placement().size(), parts);
        RZ_ASSERT_OK(const auto session, Session::create(loaded));
        const Token token = 450;
        const size_t at_start = test::allocation_count();
        for (int i = 0; i < 33; ++i) // lists of tokens have room for 64 then
            ASSERT_TRUE(session->append(std::span(&token, 1)).ok());
        EXPECT_GT(test::allocation_count(), at_start); // the counter counts
        const size_t before = test::allocation_count();
        const uint64_t lent = test::backends().host().allocated();
        for (int i = 0; i < 20; ++i)
            ASSERT_TRUE(session->append(std::span(&token, 1)).ok());
        EXPECT_EQ(test::allocation_count(), before);
        EXPECT_EQ(test::backends().host().allocated(), lent); // plugins
    }
}

} // namespace
} // namespace realizar
