// realizar bench compare and report: what to make of results that were kept.
#include "bench/page.h"
#include "bench/statistics.h"
#include "tools/realizar/bench_run.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kCompareFooter =
    R"(Compares tests of the same model, backend, device and name. A difference is called slower or faster if
it is at least --threshold and a permutation test finds it significant (p below 0.05); that needs at
least four runs on each side. The exit code is 6 if anything became slower.

Example:
  realizar bench -r 10 -o json > before.json
  realizar bench -r 10 -o json > after.json
  realizar bench compare before.json after.json)";

constexpr const char *kReportFooter =
    R"(Without files the page is made from the history that 'realizar bench' keeps.

Example:
  realizar bench report -o page.html
  realizar bench report monday.json tuesday.json -o page.html)";

struct CompareOptions {
    std::string base, candidate;
    double threshold = 2; // per cent
    bool json = false;
};

struct Pair {
    std::string key;
    std::vector<double> base, candidate;
};

std::map<std::string, std::vector<double>> samples_by_key(const Json &document) {
    std::map<std::string, std::vector<double>> all;
    for (const Json &entry : document["results"])
        if (auto samples = bench::samples_of(entry); !samples.empty())
            all[bench::entry_key(document, entry)] = std::move(samples);
    return all;
}

Result<std::vector<Pair>> pairs_of(const CompareOptions &options) {
    RZ_ASSIGN(const Json base, bench::read_document(options.base));
    RZ_ASSIGN(const Json candidate, bench::read_document(options.candidate));
    auto before = samples_by_key(base), after = samples_by_key(candidate);
    std::vector<Pair> pairs;
    for (auto &[key, samples] : after)
        if (before.contains(key)) pairs.push_back({key, before[key], samples});
    if (pairs.empty())
        return make_error(
            Code::invalid_argument, "nothing_in_common",
            "expected at least one test of the same model, backend and device in both "
            "files, found %zu and %zu others",
            before.size(), after.size());
    return pairs;
}

std::string line_of(const Pair &pair, const bench::Comparison &result) {
    char numbers[160];
    std::snprintf(numbers, sizeof numbers, "%10.2f %10.2f  %6.3f  (%.3f - %.3f)  p=%.4f  %s\n",
                  bench::median(pair.base), bench::median(pair.candidate), result.ratio,
                  result.interval.low, result.interval.high, result.p_value,
                  bench::verdict_name(result.verdict));
    return printable(pair.key, 100) + "\n  " + numbers;
}

Status run_compare(const CompareOptions &options) {
    RZ_ASSIGN(const std::vector<Pair> pairs, pairs_of(options));
    bench::ComparisonRule rule;
    rule.least_change = options.threshold / 100;
    size_t slower = 0;
    Json list = Json::array();
    for (const Pair &pair : pairs) {
        const bench::Comparison result = bench::compare(pair.base, pair.candidate, rule);
        slower += result.verdict == bench::Verdict::slower;
        if (!options.json) print_text(line_of(pair, result));
        list.push_back({{"test", pair.key},
                        {"base", bench::median(pair.base)},
                        {"candidate", bench::median(pair.candidate)},
                        {"ratio", result.ratio},
                        {"ci_95", {result.interval.low, result.interval.high}},
                        {"p_value", result.p_value},
                        {"verdict", bench::verdict_name(result.verdict)}});
    }
    if (options.json) print_json(list, 2);
    if (slower == 0) return {};
    return make_error(Code::invalid_argument, "regression", "%zu of %zu tests became slower",
                      slower, pairs.size());
}

struct ReportOptions {
    std::vector<std::string> files;
    std::string output;
};

Result<std::vector<Json>> documents_of(const ReportOptions &options) {
    std::vector<Json> documents;
    for (const std::string &path : options.files) {
        RZ_ASSIGN(Json document, bench::read_document(path));
        documents.push_back(std::move(document));
    }
    if (!options.files.empty()) return documents;
    RZ_ASSIGN(bench::History history, bench::read_history(default_history()));
    if (history.damaged > 0)
        print_note(std::to_string(history.damaged) + " lines of the history are no results");
    return std::move(history.documents);
}

Status run_report(const ReportOptions &options) {
    RZ_ASSIGN(const std::vector<Json> documents, documents_of(options));
    std::ofstream file(options.output, std::ios::binary);
    file << bench::html_page(documents);
    file.flush();
    if (!file)
        return make_error(Code::io, "write_failed", "%s: cannot be written",
                          printable(options.output, 200).c_str());
    return {};
}

} // namespace

void add_bench_compare(CLI::App &bench, Action &action) {
    CLI::App *command = bench.add_subcommand("compare", "say whether results differ");
    command->footer(kCompareFooter);
    auto options = std::make_shared<CompareOptions>();
    command->add_option("BASE", options->base, "JSON of the run before")->required();
    command->add_option("CANDIDATE", options->candidate, "JSON of the run after")->required();
    command
        ->add_option("--threshold", options->threshold, "smallest difference that counts, per cent")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    command->add_flag("--json", options->json, "as JSON");
    command->callback([=, &action] { action = [=] { return run_compare(*options); }; });
}

void add_bench_report(CLI::App &bench, Action &action) {
    CLI::App *command = bench.add_subcommand("report", "make a page of results");
    command->footer(kReportFooter);
    auto options = std::make_shared<ReportOptions>();
    command->add_option("FILES", options->files, "JSON of runs, oldest first");
    command->add_option("-o,--output", options->output, "HTML file to write")->required();
    command->callback([=, &action] { action = [=] { return run_report(*options); }; });
}

} // namespace realizar::cli
