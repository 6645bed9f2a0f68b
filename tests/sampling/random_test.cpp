#include "core/sampling/random.h"

#include <gtest/gtest.h>

using namespace realizar;

namespace {

// Published outputs of the authors' reference programs.
TEST(Random, SplitMix64Reference) {
    SplitMix64 generator(1234567);
    const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                 4593380528125082431u, 16408922859458223821u};
    for (const uint64_t each : expected)
        EXPECT_EQ(generator.next(), each);
}

TEST(Random, Xoshiro256Reference) {
    Xoshiro256 generator(std::array<uint64_t, 4>{1, 2, 3, 4});
    const uint64_t expected[] = {11520u,
                                 0u,
                                 1509978240u,
                                 1215971899390074240u,
                                 1216172134540287360u,
                                 607988272756665600u,
                                 16172922978634559625u,
                                 8476171486693032832u,
                                 10595114339597558777u,
                                 2904607092377533576u};
    for (const uint64_t each : expected)
        EXPECT_EQ(generator.next(), each);
}

TEST(Random, UniformIsBelowOne) {
    Xoshiro256 generator(99);
    double sum = 0, least = 1, most = 0;
    constexpr int kCount = 100000;
    for (int i = 0; i < kCount; ++i) {
        const double u = generator.uniform();
        least = std::min(least, u);
        most = std::max(most, u);
        sum += u;
    }
    EXPECT_GE(least, 0.0);
    EXPECT_LT(most, 1.0);
    // The mean's deviation is sqrt(1/12/n) = 9e-4; 5 of these.
    EXPECT_NEAR(sum / kCount, 0.5, 5e-3);
}

TEST(Random, SeedsDiffer) {
    EXPECT_NE(Xoshiro256(0).next(), Xoshiro256(1).next());
    EXPECT_EQ(Xoshiro256(42).next(), Xoshiro256(42).next());
}

} // namespace
