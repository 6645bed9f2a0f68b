// What a run found, as text, JSON and JUnit XML.
#pragma once

#include "tools/ctk/runner.h"

#include <iosfwd>
#include <span>
#include <string>

namespace realizar::ctk {

struct RunFacts {
    std::string plugin, id, version, device;
    uint64_t seed = 0;
    double seconds = 0;
};

// PASS and UNSUPPORTED are fine.
bool is_bad(Verdict verdict);
bool any_bad(std::span<const CaseResult> results);

// One line per result that is not a pass, with the command that repeats it.
void print_result(std::ostream &out, const CaseResult &result, const RunFacts &facts, bool verbose);
// Counts per level, and the matrix of operators and types of level 2.
void print_summary(std::ostream &out, std::span<const CaseResult> results, const RunFacts &facts);

std::string to_json(std::span<const CaseResult> results, const RunFacts &facts);
std::string to_junit(std::span<const CaseResult> results, const RunFacts &facts);

} // namespace realizar::ctk
