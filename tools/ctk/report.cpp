#include "tools/ctk/report.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <iomanip>
#include <map>
#include <ostream>
#include <sstream>
#include <vector>

namespace realizar::ctk {
namespace {

constexpr size_t kVerdicts = 5;
using Counts = std::array<size_t, kVerdicts>;

size_t &count_of(Counts &counts, Verdict verdict) { return counts[static_cast<size_t>(verdict)]; }
size_t count_of(const Counts &counts, Verdict verdict) {
    return counts[static_cast<size_t>(verdict)];
}

// "ok 24" for 24 passes, "BAD 3/24" for three failures, "-" for not offered.
std::string cell(const Counts &counts) {
    const size_t passed = count_of(counts, Verdict::pass);
    const size_t lacking = count_of(counts, Verdict::unsupported);
    size_t total = 0;
    for (const size_t count : counts)
        total += count;
    const size_t bad = total - passed - lacking;
    if (bad > 0) return "BAD " + std::to_string(bad) + "/" + std::to_string(total);
    if (passed == 0) return "-";
    return "ok " + std::to_string(passed);
}

void print_matrix(std::ostream &out, std::span<const CaseResult> results) {
    std::map<std::string, std::map<std::string, Counts>> matrix;
    for (const CaseResult &result : results) {
        if (result.level != 2 || result.type.empty()) continue;
        ++count_of(matrix[result.suite][result.type], result.verdict);
    }
    std::erase_if(matrix, [](const auto &row) {
        return std::all_of(row.second.begin(), row.second.end(),
                           [](const auto &entry) { return cell(entry.second) == "-"; });
    });
    if (matrix.empty()) return;
    out << "\nOperators and element types that the plugin offers (tests passed):\n";
    for (const auto &[op, row] : matrix) {
        out << "  " << std::left << std::setw(12) << op;
        for (const auto &[type, counts] : row)
            if (const std::string text = cell(counts); text != "-")
                out << " " << type << ": " << text << " ";
        out << "\n";
    }
}

std::string xml_escape(const std::string &text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\n': out += "&#10;"; break;
        default: out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
        }
    }
    return out;
}

} // namespace

bool is_bad(Verdict verdict) { return verdict != Verdict::pass && verdict != Verdict::unsupported; }

bool any_bad(std::span<const CaseResult> results) {
    return std::any_of(results.begin(), results.end(),
                       [](const CaseResult &result) { return is_bad(result.verdict); });
}

void print_result(std::ostream &out, const CaseResult &result, const RunFacts &facts,
                  bool verbose) {
    if (!verbose && !is_bad(result.verdict)) return;
    out << std::left << std::setw(12) << verdict_name(result.verdict) << result.name;
    if (!result.message.empty()) out << "\n            " << result.message;
    out << "\n";
    if (!is_bad(result.verdict)) return;
    out << "            repeat: realizar-ctk " << facts.plugin << " --seed " << facts.seed
        << " --filter " << result.name << "\n";
    std::istringstream lines(result.output);
    for (std::string line; std::getline(lines, line);)
        out << "          | " << line << "\n";
}

void print_summary(std::ostream &out, std::span<const CaseResult> results, const RunFacts &facts) {
    print_matrix(out, results);
    std::map<int, Counts> levels;
    for (const CaseResult &result : results)
        ++count_of(levels[result.level], result.verdict);
    out << "\n" << facts.plugin;
    if (!facts.id.empty())
        out << " (" << facts.id << " " << facts.version << ", " << facts.device << ")";
    out << ", seed " << facts.seed << ":\n";
    for (const auto &[level, counts] : levels) {
        out << "  L" << level;
        for (size_t v = 0; v < kVerdicts; ++v)
            if (counts[v] > 0)
                out << "  " << verdict_name(static_cast<Verdict>(v)) << " " << counts[v];
        out << "\n";
    }
    out << (any_bad(results) ? "NOT CONFORMANT" : "conformant at the levels above") << ", "
        << std::fixed << std::setprecision(1) << facts.seconds << " s\n";
}

std::string to_json(std::span<const CaseResult> results, const RunFacts &facts) {
    nlohmann::json tests = nlohmann::json::array();
    for (const CaseResult &result : results) {
        nlohmann::json test = {{"name", result.name},
                               {"level", result.level},
                               {"suite", result.suite},
                               {"type", result.type},
                               {"verdict", verdict_name(result.verdict)},
                               {"seconds", result.seconds}};
        if (!result.message.empty()) test["message"] = result.message;
        if (!result.output.empty()) test["output"] = result.output;
        tests.push_back(std::move(test));
    }
    const nlohmann::json document = {{"plugin", facts.plugin},
                                     {"id", facts.id},
                                     {"version", facts.version},
                                     {"device", facts.device},
                                     {"abi", {RZ_ABI_MAJOR, RZ_ABI_MINOR}},
                                     {"seed", facts.seed},
                                     {"seconds", facts.seconds},
                                     {"conformant", !any_bad(results)},
                                     {"tests", std::move(tests)}};
    return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string to_junit(std::span<const CaseResult> results, const RunFacts &facts) {
    std::ostringstream out;
    size_t failures = 0, errors = 0, skipped = 0;
    for (const CaseResult &result : results) {
        failures += result.verdict == Verdict::fail;
        errors += result.verdict == Verdict::crash || result.verdict == Verdict::hang;
        skipped += result.verdict == Verdict::unsupported;
    }
    out << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"realizar-ctk "
        << xml_escape(facts.plugin) << "\" tests=\"" << results.size() << "\" failures=\""
        << failures << "\" errors=\"" << errors << "\" skipped=\"" << skipped << "\" time=\""
        << facts.seconds << "\">\n";
    for (const CaseResult &result : results) {
        out << "  <testcase classname=\"L" << result.level << "." << xml_escape(result.suite)
            << "\" name=\"" << xml_escape(result.name) << "\" time=\"" << result.seconds << "\"";
        if (result.verdict == Verdict::pass) {
            out << "/>\n";
            continue;
        }
        const char *element = result.verdict == Verdict::unsupported ? "skipped"
                              : result.verdict == Verdict::fail      ? "failure"
                                                                     : "error";
        out << "><" << element << " message=\"" << xml_escape(result.message)
            << "\"/></testcase>\n";
    }
    out << "</testsuite>\n";
    return out.str();
}

} // namespace realizar::ctk
