// realizar bench: how fast this machine runs a model.
#include "tools/realizar/bench_run.h"
#include "tools/realizar/commands.h"

#include "bench/page.h"
#include "bench/tables.h"

#include <array>
#include <cstdlib>
#include <functional>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Tests: ppN evaluates a prompt of N tokens, tgN generates N tokens one by one; "@dD" after D tokens
of context, "xS" for S sequences together. Each is run once to warm up, on a GPU for two seconds, and
then until its rates vary by less than --variation or --budget is over; with -r exactly so often. With a
peer the two take turns.
--load times loading too, before the tests: all that is done until the first token can be computed, with
packed weights on both sides; each load is freed before the next, and the first is left out, so the file
is in the page cache. Its rate is loads per second.
--peer memory reads what a token must read (weights, cache) and computes nothing: the roof of decoding.
--suite parity prints the checks IMP-001 to 005 and GPU-001 to 025 of bench/suites with target, limit
and figure (status: target, pass, below the limit, fail for a wrong result, skip with the reason); those
of a GPU run on the device of --backend or --device, or else on a GPU. --suite crossover times matrix
products on every device and says from which size on which one is faster, and what the planner chose.
Rates are medians in tokens per second with the interval that holds the median at 95 %; times are of
one generated token, or of the whole prompt. Results are appended to a history unless --no-history.

Examples:
  realizar bench -p 512 -n 64
  realizar bench --all-backends -o markdown
  realizar bench -m model.gguf --backend cpu -t 2 -p 512 -n 64 -r 3 -o json
  realizar bench -m model.gguf -p 0 -n 64 --depth 4096
  realizar bench -m model.gguf --peer llama.cpp=vulkan --peer-llama-cpp /opt/llama.cpp/lib
  realizar bench -m model.gguf --backend cpu -t 2 -p 0 -n 64 --peer memory
  realizar bench --suite parity -m model.gguf --peer-llama-cpp /opt/llama.cpp/lib
  realizar bench --suite crossover
  realizar bench compare before.json after.json
  realizar bench report -o page.html)";

// How each value of -o shows a document.
struct Output {
    const char *name;
    std::function<std::string(const Json &)> text;
};
const std::array kOutputs = {
    Output{"table", bench::table_text},
    Output{"json",
           [](const Json &document) {
               return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
           }},
    Output{"csv", bench::csv_text},
    Output{"markdown", bench::markdown_text},
    Output{"html",
           [](const Json &document) {
               return bench::html_page({&document, 1});
           }},
};

Status run(const BenchOptions &options) {
    if (!options.suite.empty()) return run_suite(options);
    RZ_ASSIGN(const Json document, run_benchmark(options));
    for (const Output &output : kOutputs)
        if (options.output == output.name) print_text(output.text(document));
    const std::string history = options.history.empty() ? default_history() : options.history;
    if (options.no_history || history.empty()) return {};
    return bench::append_history(history, document);
}

void add_workload_options(CLI::App &command, BenchOptions &options) {
    command.add_option("-p,--prompt", options.prompts, "prompt lengths, with commas")
        ->delimiter(',')
        ->capture_default_str();
    command.add_option("-n,--n-gen", options.decodes, "tokens to generate, with commas")
        ->delimiter(',')
        ->capture_default_str();
    command.add_option("-d,--depth", options.depths, "tokens of context before, with commas")
        ->delimiter(',')
        ->capture_default_str();
    command.add_option("--sequences", options.sequences, "sequences decoded together, with commas")
        ->delimiter(',')
        ->check(CLI::Range(1u, 1024u))
        ->capture_default_str();
    command.add_flag("--load", options.load, "also time loading");
    command
        .add_option("-r,--repetitions", options.repetitions,
                    "timed runs of each test (default: until they agree)")
        ->check(CLI::Range(1u, 10000u));
    command
        .add_option("--variation", options.rule.variation,
                    "coefficient of variation that is good enough")
        ->check(CLI::Range(0.0001, 1.0))
        ->capture_default_str();
    command
        .add_option("--budget", options.budget,
                    "seconds for each test at most (default: 10; of several devices 5)")
        ->check(CLI::PositiveNumber);
}

void add_peer_options(CLI::App &command, BenchOptions &options) {
    command
        .add_option("--peer", options.peer,
                    "also time a peer in turn: llama.cpp, or llama.cpp=cpu, =vulkan, =cuda; memory")
        ->check(CLI::IsMember(
            {"llama.cpp", "llama.cpp=cpu", "llama.cpp=vulkan", "llama.cpp=cuda", "memory"}))
        ->type_name("NAME");
    command
        .add_option("--peer-llama-cpp", options.peer_folder,
                    "folder of its prebuilt libraries (default: $REALIZAR_PEER_LLAMA_CPP)")
        ->type_name("FOLDER");
    command
        .add_option("--peer-gpu-layers", options.gpu_layers, "layers that the peer puts on a GPU")
        ->capture_default_str();
}

} // namespace

void add_bench(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("bench", "time a model on this machine");
    command->footer(kFooter);
    command->require_subcommand(0, 1);
    auto options = std::make_shared<BenchOptions>();
    add_workload_options(*command, *options);
    std::vector<std::string> names;
    for (const Output &output : kOutputs)
        names.emplace_back(output.name);
    command->add_option("-o,--output", options->output, "table, json, csv, markdown or html")
        ->check(CLI::IsMember(names))
        ->capture_default_str();
    command->add_flag("--all-backends", options->all_backends,
                      "each device of each plugin in turn, instead of --backend");
    command->add_flag("--all-gpus", options->all_gpus,
                      "each device that is no CPU in turn, instead of --backend");
    command->add_option("--suite", options->suite, "checks instead of tests; -o table or json")
        ->check(CLI::IsMember({"parity", "crossover"}))
        ->type_name("NAME");
    add_peer_options(*command, *options);
    command->add_option("--history", options->history, "file to append results to")
        ->type_name("FILE");
    command->add_flag("--no-history", options->no_history, "append nothing");
    add_engine_options(*command, *options);
    add_bench_compare(*command, action);
    add_bench_report(*command, action);
    command->callback([=, &action] {
        if (command->get_subcommands().empty()) action = [=] { return run(*options); };
    });
}

} // namespace realizar::cli
