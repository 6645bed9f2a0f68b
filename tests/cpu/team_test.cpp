// Threads that stay together: every piece of every phase runs exactly once, in its phase.
#include "plugins/cpu/pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace realizar::cpu::test {
namespace {

struct Phases {
    uint64_t pieces = 0;
    std::vector<uint32_t> runs, workers; // of each piece in this phase
    unsigned threads = 0;
    bool good = true;

    static void piece(void *self, uint64_t i, unsigned worker) {
        auto &phases = *static_cast<Phases *>(self);
        if (i < phases.pieces)
            ++phases.runs[i]; // a plain number: a race if two threads had the piece
        if (worker >= phases.threads) phases.workers[i] = 1;
    }
    static void lead(void *self, Team &team, unsigned worker) {
        auto &phases = *static_cast<Phases *>(self);
        for (uint64_t phase = 0; phase < 3000; ++phase) {
            phases.pieces = phase * 7 % Team::kMaxPieces + 1;
            phases.runs.assign(phases.pieces, 0);
            phases.workers.assign(phases.pieces, 0);
            team.run(phases.pieces, piece, self, worker);
            for (uint64_t i = 0; i < phases.pieces; ++i)
                phases.good &= phases.runs[i] == 1 && phases.workers[i] == 0;
        }
    }
};

TEST(Team, EveryPieceRunsOnce) {
    // More threads than most test machines have processors, and odd numbers.
    for (const unsigned threads : {1u, 2u, 3u, 7u}) {
        Pool pool(threads, threads);
        Phases phases;
        phases.threads = threads;
        pool.run_team(Phases::lead, &phases);
        EXPECT_TRUE(phases.good) << threads << " threads";
    }
}

TEST(Team, LeadersAtTheSameTimeDoNotDisturbEachOther) {
    Pool pool(3, 3);
    Phases phases[2];
    std::vector<std::thread> leaders;
    for (Phases &p : phases) {
        p.threads = 3;
        leaders.emplace_back([&] { pool.run_team(Phases::lead, &p); });
    }
    for (std::thread &t : leaders)
        t.join();
    EXPECT_TRUE(phases[0].good && phases[1].good);
}

TEST(Team, HasNoMoreMembersThanAllowed) {
    const auto members = [](Pool &pool) {
        unsigned result = 0;
        pool.run_team(
            [](void *out, Team &team, unsigned) { *static_cast<unsigned *>(out) = team.threads(); },
            &result);
        return result;
    };
    Pool narrow(7, 2), single(7, 1), by_processors(64);
    EXPECT_EQ(members(narrow), 2u);
    EXPECT_EQ(members(single), 1u);
    EXPECT_LE(members(by_processors), std::max(1u, std::thread::hardware_concurrency()));
    Phases phases;
    phases.threads = 2;
    narrow.run_team(Phases::lead, &phases);
    EXPECT_TRUE(phases.good);
}

// A leader that throws must not leave the others waiting.
TEST(Team, AnExceptionOfTheLeaderEndsTheTeam) {
    Pool pool(2, 2);
    EXPECT_THROW(pool.run_team([](void *, Team &, unsigned) { throw 1; }, nullptr), int);
}

} // namespace
} // namespace realizar::cpu::test
