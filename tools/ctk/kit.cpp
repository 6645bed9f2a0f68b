#include "tools/ctk/kit.h"

#include "tools/ctk/discover.h"
#include "tools/ctk/levels.h"

#include <algorithm>
#include <cctype>
#include <chrono>

namespace realizar::ctk {
namespace {

void ignore(const CaseResult &) {}

// Does the name contain the text, letter case ignored?
bool contains(const std::string &name, const std::string &text) {
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) ==
               std::tolower(static_cast<unsigned char>(b));
    };
    return std::search(name.begin(), name.end(), text.begin(), text.end(), same) != name.end();
}

CaseList level0_cases(const std::string &plugin) {
    CaseList cases;
    add_file_cases(plugin, cases);
    cases.push_back(discovery_case());
    add_entry_cases(cases);
    add_driver_cases(cases);
    return cases;
}

CaseList device_cases(const Offer &offer) {
    CaseList cases;
    add_buffer_cases(cases);
    add_timeline_cases(cases);
    add_submit_cases(cases);
    add_steps_cases(cases);
    add_fault_cases(cases);
    add_growth_cases(cases);
    add_thread_cases(cases);
    add_claim_cases(offer, cases);
    add_operator_cases(offer, cases);
    add_graph_cases(offer, cases);
    return cases;
}

struct Plan {
    CaseList cases;
    std::vector<CaseResult> gate; // failures that stop the run
    Offer offer;
};

// Judges the file before any code of the plugin runs, then asks the plugin what it offers.
Plan make_plan(const KitOptions &options) {
    Plan plan;
    const std::string &plugin = options.runner.target.plugin;
    CaseList file;
    add_file_cases(plugin, file);
    file.resize(1); // the note
    plan.gate = run_cases(file, options.runner, ignore);
    if (any_bad(plan.gate)) return plan;

    plan.gate = run_cases({discovery_case()}, options.runner, ignore);
    const CaseResult &opened = plan.gate.front();
    const bool usable = opened.verdict == Verdict::pass && parse_offer(opened.payload, plan.offer);
    plan.cases = level0_cases(plugin);
    if (usable)
        for (Case &test : device_cases(plan.offer))
            plan.cases.push_back(std::move(test));
    if (!any_bad(plan.gate)) plan.gate.clear();
    std::erase_if(plan.cases, [&](const Case &test) {
        return options.levels.count(test.level) == 0 || !contains(test.full_name(), options.filter);
    });
    return plan;
}

} // namespace

KitRun run_kit(const KitOptions &options,
               const std::function<void(const CaseResult &)> &on_result) {
    const auto begin = std::chrono::steady_clock::now();
    KitRun run;
    run.facts.plugin = options.runner.target.plugin;
    run.facts.seed = options.runner.target.seed;
    Plan plan = make_plan(options);
    run.facts.id = plan.offer.id;
    run.facts.version = plan.offer.version;
    run.facts.device = plan.offer.device;
    run.results = run_cases(plan.cases, options.runner, on_result);
    for (CaseResult &result : plan.gate) {
        const auto same = [&](const CaseResult &other) { return other.name == result.name; };
        if (std::any_of(run.results.begin(), run.results.end(), same)) continue;
        on_result(result);
        run.results.push_back(std::move(result));
    }
    run.facts.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return run;
}

std::vector<std::string> list_kit(const KitOptions &options) {
    std::vector<std::string> names;
    for (const Case &test : make_plan(options).cases)
        names.push_back(test.full_name());
    return names;
}

} // namespace realizar::ctk
