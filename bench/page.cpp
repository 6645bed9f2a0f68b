#include "bench/page.h"

#include "bench/plots.h"
#include "bench/record.h"
#include "bench/statistics.h"

#include <algorithm>
#include <map>
#include <optional>

namespace realizar::bench {
namespace {

constexpr const char *kStyle = R"(<style>
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #67707b; --line: #d9dee4; --bar: #2f6fb0;
  --peer: #b7793a; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --line: #353c44;
  --bar: #6aa5df; --peer: #d9a066; --paper: #14181c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
.n { text-align: right; white-space: nowrap; } th, .test { white-space: nowrap; } .soft { color: var(--soft); }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.bar { fill: var(--bar); } .peer { fill: var(--peer); } .whisker { stroke: var(--ink); }
td { overflow-wrap: anywhere; }
.trend { fill: none; stroke: var(--bar); stroke-width: 2; } .axis { stroke: var(--soft); }
.grid { stroke: var(--line); stroke-dasharray: 3 3; } svg .tick { fill: var(--soft); }
</style>
)";

std::string text(const Json &object, const char *name) {
    return object.is_object() && object.contains(name) && object[name].is_string()
               ? object[name].get<std::string>()
               : std::string();
}

bool is_peer(const Json &entry) {
    return entry.contains("config") && text(entry["config"], "runtime") != "realizar";
}

// A value that is text, a number, null, or a list or object of such, as a cell.
std::string plain(const Json &value) {
    if (value.is_null()) return "unknown";
    if (value.is_number_float()) return number(value.get<double>(), 2);
    if (!value.is_structured()) return value.is_string() ? value.get<std::string>() : value.dump();
    std::string list;
    for (const Json &entry : value)
        list += (list.empty() ? "" : entry.is_structured() ? "; " : ", ") + plain(entry);
    return list.empty() ? "none" : list;
}

std::string pairs_table(const Json &object) {
    std::string out = "<table>\n";
    if (object.is_object())
        for (const auto &[name, value] : object.items())
            out +=
                "<tr><th>" + escaped(name) + "</th><td>" + escaped(plain(value)) + "</td></tr>\n";
    return out + "</table>\n";
}

// A table of one row for each entry that was measured, with these columns behind backend, device and test.
struct Column {
    const char *head;
    std::string (*cell)(const Json &entry);
    const char *kind = "n"; // the class of its cells: numbers, or ""
};

const std::string kDash = "&ndash;";

std::string or_dash(std::optional<double> value, int digits, const char *unit = "") {
    return value ? number(*value, digits) + unit : kDash;
}

std::string share(std::optional<double> value) {
    return or_dash(value ? std::optional(100 * *value) : std::nullopt, 1, "&nbsp;%");
}

// Of a token where tokens were decoded, else of the whole prompt.
std::string latency(const Json &entry, const char *rank) {
    auto value = number(entry, {"metrics", "itl_ms", rank});
    if (!value) value = number(entry, {"metrics", "ttft_ms", rank});
    return or_dash(value, 2);
}

constexpr Column kRates[] = {
    {"rate", [](const Json &entry) { return number(median(samples_of(entry)), 2); }},
    {"95&nbsp;% interval",
     [](const Json &entry) {
         const auto samples = samples_of(entry);
         const Interval range = median_interval(samples);
         return samples.size() < 2 ? kDash : number(range.low, 2) + " to " + number(range.high, 2);
     }},
    {"p50 ms", [](const Json &entry) { return latency(entry, "p50"); }},
    {"p95 ms", [](const Json &entry) { return latency(entry, "p95"); }},
    {"p99 ms", [](const Json &entry) { return latency(entry, "p99"); }},
    {"runs", [](const Json &entry) { return std::to_string(samples_of(entry).size()); }},
    {"variation",
     [](const Json &entry) {
         return share(number(entry, {"sampling", "cv_at_stop"}));
     }},
    {"drift",
     [](const Json &entry) {
         return share(number(entry, {"sampling", "drift"}));
     }},
    {"to peer", [](const Json &entry) { return or_dash(number(entry, {"ratio_to_peer"}), 2); }},
};

constexpr Column kResources[] = {
    {"weights MB",
     [](const Json &entry) {
         return or_dash(number(entry, {"metrics", "memory_mb", "model"}), 0);
     }},
    {"host peak MB",
     [](const Json &entry) {
         return or_dash(number(entry, {"metrics", "memory_mb", "peak_rss"}), 0);
     }},
    {"device peak MB",
     [](const Json &entry) {
         return or_dash(number(entry, {"metrics", "memory_mb", "device_peak"}), 0);
     }},
    {"load ms",
     [](const Json &entry) {
         return or_dash(number(entry, {"metrics", "cold_start_ms", "median"}), 0);
     }},
    {"J a token",
     [](const Json &entry) {
         return or_dash(number(entry, {"metrics", "energy", "token_joules"}), 3);
     }},
    {"hottest",
     [](const Json &entry) {
         return or_dash(number(entry, {"thermal", "max_temp_c"}), 0, "&nbsp;&deg;C");
     }},
    {"driver", [](const Json &entry) { return escaped(text(entry, "driver")); }, ""},
};

std::string cell_of(const char *tag, const char *kind, const std::string &content) {
    return std::string("<") + tag + " class=\"" + kind + "\">" + content + "</" + tag + ">";
}

std::string entries_table(const Json &document, std::span<const Column> columns) {
    constexpr Column kFirst[] = {
        {"backend", [](const Json &entry) { return escaped(text(entry, "backend")); }, ""},
        {"device", [](const Json &entry) { return escaped(text(entry, "device")); }, ""},
        {"test", [](const Json &entry) { return escaped(text(entry, "test")); }, "test"}};
    std::string out = "<table>\n<tr>";
    for (const auto &part : {std::span<const Column>(kFirst), columns})
        for (const Column &column : part)
            out += cell_of("th", column.kind, column.head);
    out += "</tr>\n";
    for (const Json &entry : document["results"]) {
        if (samples_of(entry).empty()) continue;
        out += "<tr>";
        for (const auto &part : {std::span<const Column>(kFirst), columns})
            for (const Column &column : part)
                out += cell_of("td", column.kind, column.cell(entry));
        out += "</tr>\n";
    }
    return out + "</table>\n";
}

std::string skipped_list(const Json &document) {
    std::string out;
    for (const Json &entry : document["results"])
        if (samples_of(entry).empty())
            out += "<li>" + escaped(text(entry, "backend")) + " " + escaped(text(entry, "device")) +
                   " skipped: " + escaped(text(entry, "skipped")) + "</li>\n";
    return out.empty() ? out : "<ul>\n" + out + "</ul>\n";
}

std::string unit_of(const std::string &test) {
    return test == "load" ? "loads per second" : "tokens per second";
}

std::string charts(const Json &document) {
    std::map<std::string, std::vector<Bar>> by_test;
    for (const Json &entry : document["results"])
        if (const auto samples = samples_of(entry); !samples.empty())
            by_test[text(entry, "test")].push_back(
                {text(entry, "backend") + "  " + text(entry, "device"), median(samples),
                 median_interval(samples), is_peer(entry)});
    std::string out;
    for (const auto &[test, bars] : by_test)
        out += "<h2>" + escaped(test) + "</h2>\n" + bar_chart(bars, unit_of(test));
    return out;
}

std::string trends(std::span<const Json> documents) {
    struct Trend {
        std::string unit;
        std::vector<TrendPoint> points;
    };
    std::map<std::string, Trend> by_key;
    for (const Json &document : documents)
        for (const Json &entry : document["results"])
            if (const auto samples = samples_of(entry); !samples.empty()) {
                Trend &trend = by_key[entry_key(document, entry)];
                trend.unit = unit_of(text(entry, "test"));
                trend.points.push_back(
                    {text(document, "timestamp"), median(samples), median_interval(samples)});
            }
    std::string out;
    for (const auto &[key, trend] : by_key)
        if (trend.points.size() > 1)
            out += "<h2>Trend: " + escaped(key) + "</h2>\n" + trend_chart(trend.points, trend.unit);
    return out;
}

} // namespace

std::string html_page(std::span<const Json> documents) {
    std::string out = "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
                      "<meta name=viewport content=\"width=device-width\">\n"
                      "<title>realizar bench</title>\n";
    out += kStyle;
    out += "<h1>realizar bench</h1>\n";
    if (documents.empty()) return out + "<p>No results.</p>\n";
    const Json &last = documents.back();
    out += "<p class=soft>" + escaped(text(last, "timestamp")) + ", " +
           escaped(text(last.value("model", Json::object()), "name")) + "</p>\n";
    out += entries_table(last, kRates) + skipped_list(last) +
           "<p class=soft>Rates are medians of tokens per second (of the test load: loads); times "
           "are of one "
           "generated token, or of the whole prompt up to the first token. Drift is the change "
           "from the first "
           "run to the last one: a machine that heats up shows it.</p>\n" +
           charts(last) + "<h2>Memory and energy</h2>\n" + entries_table(last, kResources) +
           trends(documents);
    out += "<h2>Machine</h2>\n" + pairs_table(last.value("hardware", Json::object()));
    out += "<h2>Model</h2>\n" + pairs_table(last.value("model", Json::object()));
    return out;
}

} // namespace realizar::bench
