// realizar-ctk: does a plugin keep the contract of backend.h? See docs/conformance.md.
#include "tools/ctk/kit.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <thread>

namespace realizar::ctk {
namespace {

// Exit codes: 0 conformant, 1 not conformant, 2 the kit could not run.
constexpr int kConformant = 0, kNotConformant = 1, kCannotRun = 2;

struct Arguments {
    KitOptions kit;
    std::vector<std::string> levels = {"L0", "L1", "L2", "L3"};
    std::string json, junit;
    double timeout = 60;
    bool list = false, verbose = false;
};

void declare(CLI::App &app, Arguments &arguments) {
    RunnerOptions &runner = arguments.kit.runner;
    runner.jobs = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
    app.add_option("plugin", runner.target.plugin, "The plugin's .so file, or builtin:reference")
        ->required();
    app.add_option("--level", arguments.levels, "Levels to run, e.g. L0,L2")
        ->delimiter(',')
        ->check(CLI::IsMember({"L0", "L1", "L2", "L3"}))
        ->capture_default_str();
    app.add_option("--filter", arguments.kit.filter, "Only tests whose name contains this text");
    app.add_option("--device", runner.target.device, "Index of the device")->capture_default_str();
    app.add_option("--seed", runner.target.seed, "Seed of all random data")->capture_default_str();
    app.add_option("--json", arguments.json, "Write the results to this file as JSON");
    app.add_option("--junit", arguments.junit, "Write the results to this file as JUnit XML");
    app.add_option("--timeout", arguments.timeout, "Seconds that one test may take")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
    app.add_option("--jobs", runner.jobs, "Child processes at a time")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app.add_flag("--list", arguments.list, "List the tests and end");
    app.add_flag("--verbose", arguments.verbose, "Show every test, not only failures");
    app.footer("Exit codes: 0 conformant, 1 not conformant, 2 the kit could not run.\n"
               "Example:\n  realizar-ctk ./my_plugin.so --level L0,L1 --junit results.xml");
}

bool write_file(const std::string &path, const std::string &text) {
    if (path.empty()) return true;
    std::ofstream stream(path, std::ios::binary);
    stream << text;
    stream.close();
    if (stream) return true;
    std::cerr << "realizar-ctk: cannot write '" << path << "'\n";
    return false;
}

int run(const Arguments &arguments) {
    if (arguments.list) {
        for (const std::string &name : list_kit(arguments.kit))
            std::cout << name << "\n";
        return kConformant;
    }
    RunFacts facts;
    facts.plugin = arguments.kit.runner.target.plugin;
    facts.seed = arguments.kit.runner.target.seed;
    const KitRun run = run_kit(arguments.kit, [&](const CaseResult &result) {
        print_result(std::cout, result, facts, arguments.verbose);
        std::cout.flush();
    });
    print_summary(std::cout, run.results, run.facts);
    if (!write_file(arguments.json, to_json(run.results, run.facts)) ||
        !write_file(arguments.junit, to_junit(run.results, run.facts)))
        return kCannotRun;
    if (run.results.empty()) {
        std::cerr << "realizar-ctk: no test matches\n";
        return kCannotRun;
    }
    return any_bad(run.results) ? kNotConformant : kConformant;
}

} // namespace
} // namespace realizar::ctk

int main(int argc, char **argv) {
    using namespace realizar::ctk;
    CLI::App app("Conformance kit for realizar backend plugins");
    Arguments arguments;
    declare(app, arguments);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? kConformant : kCannotRun;
    }
    arguments.kit.levels.clear();
    for (const std::string &level : arguments.levels)
        arguments.kit.levels.insert(level[1] - '0');
    arguments.kit.runner.timeout =
        std::chrono::milliseconds(static_cast<int64_t>(arguments.timeout * 1000));
    return run(arguments);
}
