// What the parts of `realizar bench` share: the options of a run, and the run itself.
#pragma once

#include "bench/record.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace realizar::cli {

struct BenchOptions : ModelOptions {
    std::vector<uint32_t> prompts{512}, decodes{64}, depths{0}, sequences{1};
    std::optional<uint32_t> repetitions;
    std::optional<double> budget; // seconds for each test
    bench::StopRule rule;
    std::string output = "table";
    bool all_backends = false;
    bool load = false; // times loading too
    std::string peer,
        peer_folder; // "llama.cpp=vulkan"; empty folder: of the environment; or "memory"
    int gpu_layers = 0;
    std::string history;
    bool no_history = false;
    bool all_gpus = false; // of all devices those that are no CPU
    std::string suite;     // instead of workloads: parity or crossover
};

// Measures what the options ask for; the document of bench/record.h.
Result<Json> run_benchmark(const BenchOptions &options);

// Prints what a suite finds (bench/suites). Tag of a check that failed: check_failed.
Status run_suite(const BenchOptions &options);

// The peer that the options name, with their model. Tag: no_peer_folder.
Result<std::unique_ptr<bench::Contender>> make_peer(const BenchOptions &options, uint32_t sequences,
                                                    uint32_t threads);

// Loads of the model by realizar and by the peer, if that loads anything; nothing without --load.
Result<std::vector<bench::Measurement>>
measure_loading(const BenchOptions &options,
                const std::function<bool(const std::string &)> &progress);

// Where results are appended: $XDG_DATA_HOME/realizar/bench.jsonl or the same below ~/.local/share;
// empty where there is no home.
std::string default_history();

void add_bench_compare(CLI::App &bench, Action &action);
void add_bench_report(CLI::App &bench, Action &action);

} // namespace realizar::cli
