// Runs tests in child processes, so that no plugin can harm the kit or another test.
//
// The parent never loads the plugin. It forks a child per batch (tests of one suite); the child
// reports the start and the end of each test through a pipe. When it dies or says nothing for the
// time limit, the running test is the culprit, and a new child goes on with the one after it.
#pragma once

#include "tools/ctk/case.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace realizar::ctk {

enum class Verdict { pass, fail, crash, hang, unsupported };
const char *verdict_name(Verdict verdict); // "PASS", ...

struct CaseResult {
    std::string name; // full name
    int level = 0;
    std::string suite, type;
    Verdict verdict = Verdict::pass;
    std::string message; // empty for PASS
    std::string payload;
    std::string output; // what the child printed, when it failed (its last bytes)
    uint64_t seed = 0;
    double seconds = 0;
};

struct RunnerOptions {
    Target target;
    std::chrono::milliseconds timeout{60000}; // per test
    uint32_t jobs = 1;
};

// Results in the order of the cases. A child that fails after its last test (while ending) adds one
// more result, named "<level>/<suite>/end-of-process".
std::vector<CaseResult> run_cases(const CaseList &cases, const RunnerOptions &options,
                                  const std::function<void(const CaseResult &)> &on_result);

} // namespace realizar::ctk
