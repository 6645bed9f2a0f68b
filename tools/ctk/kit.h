// A whole run of the kit: which tests, in which order, with what result.
#pragma once

#include "tools/ctk/report.h"
#include "tools/ctk/runner.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace realizar::ctk {

struct KitOptions {
    RunnerOptions runner;
    std::set<int> levels = {0, 1, 2, 3};
    std::string filter; // part of a test's name, letter case ignored; empty: all
};

struct KitRun {
    RunFacts facts;
    std::vector<CaseResult> results;
};

// Runs the selected tests. A plugin whose file or device cannot be opened gets no further tests
// than those of level 0; the reason is among the results.
KitRun run_kit(const KitOptions &options, const std::function<void(const CaseResult &)> &on_result);

// Names of the selected tests. Loads the plugin (in a child) to learn what it offers.
std::vector<std::string> list_kit(const KitOptions &options);

} // namespace realizar::ctk
