#include "bench/tables.h"

#include "bench/format_text.h"
#include "bench/record.h"
#include "core/common/result.h"

#include <algorithm>
#include <vector>

namespace realizar::bench {
namespace {

std::string text(const Json &entry, const char *name) {
    if (!entry.is_object() || !entry.contains(name) || !entry[name].is_string()) return {};
    return printable(entry[name].get<std::string>(), 200);
}

std::string fixed(std::optional<double> value, int digits) {
    return value ? format_text("%.*f", digits, *value) : std::string();
}

std::string interval(const Json &entry) {
    const Json *rates = entry.contains("tok_s") ? &entry["tok_s"] : nullptr;
    if (!rates || !rates->is_object() || !rates->contains("ci_95")) return {};
    const Json &ends = (*rates)["ci_95"];
    if (!ends.is_array() || ends.size() != 2 || !ends[0].is_number() || !ends[1].is_number())
        return {};
    return format_text("%.2f - %.2f", ends[0].get<double>(), ends[1].get<double>());
}

std::string latency(const Json &entry, const char *rank) {
    auto value = number(entry, {"metrics", "itl_ms", rank});
    if (!value) value = number(entry, {"metrics", "ttft_ms", rank});
    if (!value && text(entry, "test") == "load")
        value = number(entry,
                       {"metrics", "cold_start_ms", rank == std::string("p50") ? "median" : rank});
    return fixed(value, 2);
}

std::string ratio(const Json &entry) { return fixed(number(entry, {"ratio_to_peer"}), 2); }

std::string runs(const Json &entry) {
    return fixed(number(entry, {"sampling", "actual_iterations"}), 0);
}

// One row of every output. `ms` columns are of a decode step, a whole prompt or a load.
const std::vector<std::string> kColumns = {"backend", "device", "test",   "tok/s", "95% interval",
                                           "p50 ms",  "p95 ms", "p99 ms", "runs",  "ratio"};

std::vector<std::string> row(const Json &entry) {
    if (entry.contains("skipped"))
        return {text(entry, "backend"), text(entry, "device"),
                "skipped: " + text(entry, "skipped")};
    return {text(entry, "backend"),
            text(entry, "device"),
            text(entry, "test"),
            fixed(number(entry, {"tok_s", "median"}), 2),
            interval(entry),
            latency(entry, "p50"),
            latency(entry, "p95"),
            latency(entry, "p99"),
            runs(entry),
            ratio(entry)};
}

std::vector<std::vector<std::string>> rows(const Json &document) {
    std::vector<std::vector<std::string>> all;
    if (document.contains("results") && document["results"].is_array())
        for (const Json &entry : document["results"])
            if (entry.is_object()) all.push_back(row(entry));
    return all;
}

// A line for each entry that was measured beside the memory itself.
std::string roof_lines(const Json &document) {
    std::string out;
    if (!document.contains("results") || !document["results"].is_array()) return out;
    for (const Json &entry : document["results"])
        if (const auto share = number(entry, {"roof", "share", "median"}))
            out += format_text("%s: %.1f MB a step, %.1f of %.1f GB/s, %.1f %% (%.1f - %.1f)\n",
                               text(entry, "test").c_str(),
                               number(entry, {"roof", "step_mb"}).value_or(0),
                               number(entry, {"roof", "gb_s"}).value_or(0),
                               number(entry, {"roof", "memory_gb_s"}).value_or(0), *share * 100,
                               number(entry, {"roof", "share", "min"}).value_or(0) * 100,
                               number(entry, {"roof", "share", "max"}).value_or(0) * 100);
    return out;
}

bool is_number_column(size_t column) { return column >= 3; }

std::string padded(const std::string &cell, size_t width, bool right) {
    const std::string space(width > cell.size() ? width - cell.size() : 0, ' ');
    return right ? space + cell : cell + space;
}

std::string csv_cell(const std::string &cell) {
    if (cell.find_first_of(",\"\n") == std::string::npos) return cell;
    std::string quoted = "\"";
    for (const char c : cell)
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + '"';
}

std::string markdown_cell(std::string cell) {
    for (size_t at = 0; (at = cell.find('|', at)) != std::string::npos; at += 2)
        cell.insert(at, "\\");
    return cell;
}

} // namespace

std::string table_text(const Json &document) {
    std::vector<std::vector<std::string>> all = rows(document);
    all.insert(all.begin(), kColumns);
    std::vector<size_t> widths(kColumns.size(), 0);
    for (const auto &cells : all)
        if (cells.size() == kColumns.size())
            for (size_t i = 0; i < cells.size(); ++i)
                widths[i] = std::max(widths[i], cells[i].size());
    std::string out;
    for (const auto &cells : all) {
        std::string line;
        for (size_t i = 0; i < cells.size(); ++i)
            line += (i ? "  " : "") + padded(cells[i], widths[i], is_number_column(i));
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out + roof_lines(document);
}

std::string csv_text(const Json &document) {
    std::vector<std::vector<std::string>> all = rows(document);
    all.insert(all.begin(), kColumns);
    std::string out;
    for (auto &cells : all) {
        cells.resize(kColumns.size());
        for (size_t i = 0; i < cells.size(); ++i)
            out += (i ? "," : "") + csv_cell(cells[i]);
        out += '\n';
    }
    return out;
}

std::string markdown_text(const Json &document) {
    std::string out = "|";
    for (const std::string &name : kColumns)
        out += " " + name + " |";
    out += "\n|";
    for (size_t i = 0; i < kColumns.size(); ++i)
        out += is_number_column(i) ? "---:|" : "---|";
    out += '\n';
    for (auto &cells : rows(document)) {
        cells.resize(kColumns.size());
        out += '|';
        for (const std::string &cell : cells)
            out += " " + markdown_cell(cell) + " |";
        out += '\n';
    }
    return out;
}

} // namespace realizar::bench
