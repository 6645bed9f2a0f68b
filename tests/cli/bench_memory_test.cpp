// What `realizar bench` times beside tokens: loading, and the memory itself.
#include "tests/cli/cli_test.h"

namespace realizar::test {
namespace {

using BenchBeside = Cli;

TEST_F(BenchBeside, LoadingAndTheRoof) {
    const Json document =
        run_json({"bench", "-m",     draft(),  "--backend", "reference",    "-t",  "2",
                  "-p",    "0",      "-n",     "2",         "--sequences",  "1,2", "-r",
                  "2",     "--load", "--peer", "memory",    "--no-history", "-o",  "json"});
    const Json &results = document["results"];
    ASSERT_EQ(results.size(), 5u);
    EXPECT_EQ(results[0]["test"], "load");
    EXPECT_EQ(results[0]["tok_s"]["samples"].size(), 2u);
    EXPECT_GT(results[0]["metrics"]["cold_start_ms"]["median"], 0);
    EXPECT_FALSE(results[0].contains("ratio_to_peer")) << "memory loads nothing";
    const char *tests[] = {"tg2", "tg2x2"};
    for (size_t i = 0; i < 2; ++i) {
        const Json &ours = results[1 + 2 * i], &memory = results[2 + 2 * i];
        EXPECT_EQ(ours["test"], tests[i]);
        EXPECT_EQ(memory["backend"], "memory");
        EXPECT_GT(ours["roof"]["step_mb"], 1);
        EXPECT_GT(ours["roof"]["share"]["median"], 0);
        EXPECT_FALSE(memory.contains("roof"));
    }
    EXPECT_GT(results[3]["roof"]["step_mb"], results[1]["roof"]["step_mb"])
        << "two sequences have two caches";
}

TEST_F(BenchBeside, Mistakes) {
    expect_error({"bench", "-m", draft(), "--peer", "memory", "-p", "8", "-n", "1"}, 2, "-p 0");
    expect_error({"bench", "-m", draft(), "-p", "0", "-n", "0"}, 2, "--load");
}

} // namespace
} // namespace realizar::test
