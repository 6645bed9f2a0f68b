// realizar bench: how fast this machine runs a model.
#include "bench/workload.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/interrupt.h"
#include "tools/realizar/options.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Tests: ppN evaluates a prompt of N tokens, tgN generates N tokens one by one; "@dD" after D tokens
of context, "xS" for S sequences together. Each is run once to warm up and then -r times; with a peer
the two take turns. Rates are tokens per second, the median and the range.

Examples:
  realizar bench -p 512 -n 64
  realizar bench -m model.gguf --backend cpu -t 2 -p 512 -n 64 -r 3 -o json
  realizar bench -m model.gguf -p 0 -n 64 --depth 4096
  realizar bench -m model.gguf --peer-llama-cpp /opt/llama.cpp/lib)";

struct BenchOptions : ModelOptions {
    std::vector<uint32_t> prompts{512}, decodes{64}, depths{0}, sequences{1};
    uint32_t repetitions = 5;
    std::string output = "table", peer;
    int gpu_layers = 0;
};

std::vector<bench::Workload> workloads(const BenchOptions &options) {
    std::vector<bench::Workload> list;
    for (const uint32_t depth : options.depths) {
        for (const uint32_t prompt : options.prompts)
            if (prompt > 0) list.push_back({prompt, 0, depth, 1});
        for (const uint32_t decode : options.decodes)
            for (const uint32_t sequences : options.sequences)
                if (decode > 0 && (sequences == 1 || depth == 0))
                    list.push_back({0, decode, depth, sequences});
    }
    return list;
}

struct Row {
    std::string backend, device;
    bench::Measurement measurement;
    double ratio = 0; // to the peer's median; 0: no peer
};

void print_results_json(const std::vector<Row> &rows) {
    Json results = Json::array();
    for (const Row &row : rows) {
        const bench::Measurement &m = row.measurement;
        Json entry = {{"backend", row.backend},
                      {"device", row.device},
                      {"test", m.test},
                      {"tok_s", {{"median", m.median()}, {"min", m.min()}, {"max", m.max()}}}};
        if (row.ratio > 0) entry["ratio_to_peer"] = row.ratio;
        results.push_back(std::move(entry));
    }
    print_json({{"results", results}}, 2);
}

void print_results_table(const std::vector<Row> &rows) {
    std::string text = "backend       device                          test              tok/s  "
                       "(min - max)            ratio\n";
    for (const Row &row : rows) {
        const bench::Measurement &m = row.measurement;
        char line[256], ratio[32] = "";
        if (row.ratio > 0) std::snprintf(ratio, sizeof ratio, "%.2f", row.ratio);
        std::snprintf(line, sizeof line, "%-13s %-31.31s %-12s %10.2f  (%.2f - %.2f)  %s\n",
                      row.backend.c_str(), row.device.c_str(), m.test.c_str(), m.median(), m.min(),
                      m.max(), ratio);
        text += line;
    }
    print_text(text);
}

Result<std::vector<Row>> measure_all(const BenchOptions &options, LoadedModel &loaded,
                                     const std::vector<bench::Workload> &work, uint32_t context,
                                     uint32_t sequences) {
    const DevicePtr &device = loaded.engine->runner().devices().front();
    std::vector<std::unique_ptr<bench::Contender>> contenders;
    contenders.push_back(bench::realizar_contender(loaded.engine, "realizar"));
    if (!options.peer.empty()) {
        const auto threads = static_cast<int>(loaded.backends->host().threads());
        RZ_ASSIGN(auto peer, bench::llama_cpp_contender(options.peer, options.model, threads,
                                                        context, sequences, options.gpu_layers));
        contenders.push_back(std::move(peer));
    }
    const auto progress = [&](const std::string &what) {
        if (options.verbose) print_note(what);
        return !Interrupt::requested();
    };
    RZ_ASSIGN(const auto measured, bench::measure(contenders, work, options.repetitions, progress));
    std::vector<Row> rows;
    for (size_t i = 0; i < measured.size(); ++i) {
        const bool ours = i % contenders.size() == 0;
        Row row{ours ? device->label() : measured[i].contender,
                ours ? printable(device->info().name) : "", measured[i], 0};
        row.backend = row.backend.substr(0, row.backend.find(':'));
        if (ours && contenders.size() > 1)
            row.ratio = measured[i].median() / measured[i + 1].median();
        rows.push_back(std::move(row));
    }
    return rows;
}

Status run(BenchOptions options) {
    const std::vector<bench::Workload> work = workloads(options);
    if (work.empty())
        return make_error(Code::invalid_argument, "no_test",
                          "expected at least one of -p and -n above 0");
    if (!options.peer.empty() && options.model.empty())
        return make_error(Code::invalid_argument, "no_model",
                          "a peer needs a model file: expected one with -m");
    uint32_t context = 0;
    for (const bench::Workload &one : work)
        context = std::max(context, one.context());
    if (options.context == 0) options.context = context;
    const uint32_t sequences = std::ranges::max(options.sequences);
    RZ_ASSIGN(LoadedModel loaded, load_model(options, 1, sequences));
    RZ_ASSIGN(const auto rows, measure_all(options, loaded, work, options.context, sequences));
    options.output == "json" ? print_results_json(rows) : print_results_table(rows);
    return {};
}

} // namespace

void add_bench(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("bench", "time a model on this machine");
    command->footer(kFooter);
    auto options = std::make_shared<BenchOptions>();
    command->add_option("-p,--prompt", options->prompts, "prompt lengths, with commas")
        ->delimiter(',')
        ->capture_default_str();
    command->add_option("-n,--n-gen", options->decodes, "tokens to generate, with commas")
        ->delimiter(',')
        ->capture_default_str();
    command->add_option("-d,--depth", options->depths, "tokens of context before, with commas")
        ->delimiter(',')
        ->capture_default_str();
    command
        ->add_option("--sequences", options->sequences, "sequences decoded together, with commas")
        ->delimiter(',')
        ->check(CLI::Range(1u, 1024u))
        ->capture_default_str();
    command->add_option("-r,--repetitions", options->repetitions, "timed runs of each test")
        ->check(CLI::Range(1u, 10000u))
        ->capture_default_str();
    command->add_option("-o,--output", options->output, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
    command
        ->add_option("--peer-llama-cpp", options->peer,
                     "also time the llama.cpp libraries in this folder, in turn")
        ->type_name("FOLDER");
    command
        ->add_option("--peer-gpu-layers", options->gpu_layers, "layers that the peer puts on a GPU")
        ->capture_default_str();
    add_engine_options(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
