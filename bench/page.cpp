#include "bench/page.h"

#include "bench/record.h"
#include "bench/statistics.h"

#include <algorithm>
#include <cstdio>
#include <map>

namespace realizar::bench {
namespace {

constexpr const char *kStyle = R"(<style>
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #67707b; --line: #d9dee4; --bar: #2f6fb0;
  --peer: #b7793a; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --line: #353c44;
  --bar: #6aa5df; --peer: #d9a066; --paper: #14181c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; } .soft { color: var(--soft); }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.bar { fill: var(--bar); } .peer { fill: var(--peer); } .whisker { stroke: var(--ink); }
td { overflow-wrap: anywhere; }
.trend { fill: none; stroke: var(--bar); stroke-width: 2; } .axis { stroke: var(--line); }
</style>
)";

std::string escaped(const std::string &text) {
    std::string out;
    for (const char c : printable(text, 400)) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += c;
        }
    }
    return out;
}

std::string text(const Json &object, const char *name) {
    return object.is_object() && object.contains(name) && object[name].is_string()
               ? object[name].get<std::string>()
               : std::string();
}

std::string number(double value, int digits = 1) {
    char out[48];
    std::snprintf(out, sizeof out, "%.*f", digits, value);
    return out;
}

bool is_peer(const Json &entry) {
    return entry.contains("config") && text(entry["config"], "runtime") != "realizar";
}

// A value that is text, a number or null, as a cell.
std::string plain(const Json &value) {
    if (value.is_null()) return "unknown";
    if (value.is_number_float()) return number(value.get<double>(), 2);
    if (!value.is_array()) return value.is_string() ? value.get<std::string>() : value.dump();
    std::string list;
    for (const Json &entry : value)
        list += (list.empty() ? "" : ", ") + plain(entry);
    return list;
}

std::string pairs_table(const Json &object) {
    std::string out = "<table>\n";
    if (object.is_object())
        for (const auto &[name, value] : object.items())
            out +=
                "<tr><th>" + escaped(name) + "</th><td>" + escaped(plain(value)) + "</td></tr>\n";
    return out + "</table>\n";
}

std::string results_table(const Json &document) {
    std::string out = "<table>\n<tr><th>backend</th><th>device</th><th>test</th><th class=n>tok/s"
                      "</th><th class=n>95&nbsp;% interval</th><th class=n>runs</th>"
                      "<th class=n>variation</th></tr>\n";
    for (const Json &entry : document["results"]) {
        out += "<tr><td>" + escaped(text(entry, "backend")) + "</td><td>" +
               escaped(text(entry, "device")) + "</td>";
        const std::vector<double> samples = samples_of(entry);
        if (samples.empty()) {
            out += "<td colspan=5 class=soft>skipped: " + escaped(text(entry, "skipped")) +
                   "</td></tr>\n";
            continue;
        }
        const Interval range = median_interval(samples);
        out += "<td>" + escaped(text(entry, "test")) + "</td><td class=n>" +
               number(median(samples), 2) + "</td><td class=n>" + number(range.low, 2) + " to " +
               number(range.high, 2) + "</td><td class=n>" + std::to_string(samples.size()) +
               "</td><td class=n>" +
               number(100 * coefficient_of_variation(without_outliers(samples))) +
               "&nbsp;%</td></tr>\n";
    }
    return out + "</table>\n";
}

// Horizontal bars of one test, one for each backend, with the interval as a whisker.
std::string bars(const std::vector<const Json *> &entries) {
    constexpr double kWidth = 900, kLabel = 300, kRow = 26, kValue = 90;
    double most = 0;
    for (const Json *entry : entries)
        most = std::max(most, median_interval(samples_of(*entry)).high);
    const double scale = most > 0 ? (kWidth - kLabel - kValue) / most : 0;
    std::string out = "<svg viewBox=\"0 0 " + number(kWidth, 0) + " " +
                      number(kRow * static_cast<double>(entries.size()), 0) + "\" role=img>\n";
    double y = 0;
    for (const Json *entry : entries) {
        const std::vector<double> samples = samples_of(*entry);
        const Interval range = median_interval(samples);
        const double length = scale * median(samples), middle = y + kRow / 2;
        const std::string label = text(*entry, "backend") + "  " + text(*entry, "device");
        out += "<text x=0 y=" + number(middle + 4) + ">" + escaped(label.substr(0, 44)) +
               "</text><rect class=" + (is_peer(*entry) ? "peer" : "bar") +
               " x=" + number(kLabel, 0) + " y=" + number(y + 5) + " width=" + number(length) +
               " height=" + number(kRow - 10, 0) +
               " /><line class=whisker x1=" + number(kLabel + scale * range.low) +
               " x2=" + number(kLabel + scale * range.high) + " y1=" + number(middle) +
               " y2=" + number(middle) + " /><text x=" + number(kLabel + scale * range.high + 6) +
               " y=" + number(middle + 4) + ">" + number(median(samples)) + "</text>\n";
        y += kRow;
    }
    return out + "</svg>\n";
}

struct Point {
    std::string when;
    double rate;
};

std::string trend(const std::vector<Point> &points) {
    constexpr double kWidth = 900, kHeight = 120, kPad = 16;
    double most = 0;
    for (const Point &point : points)
        most = std::max(most, point.rate);
    const double step = (kWidth - 2 * kPad) / static_cast<double>(points.size() - 1);
    std::string line, dots;
    for (size_t i = 0; i < points.size(); ++i) {
        const std::string x = number(kPad + step * static_cast<double>(i));
        const std::string y = number(kHeight - kPad - (kHeight - 2 * kPad) * points[i].rate / most);
        line += x + "," + y + " ";
        dots += "<circle class=bar r=3 cx=" + x + " cy=" + y + "><title>" +
                escaped(points[i].when) + ": " + number(points[i].rate, 2) +
                " tok/s</title></circle>";
    }
    return "<svg viewBox=\"0 0 " + number(kWidth, 0) + " " + number(kHeight, 0) +
           "\" role=img>\n<line class=axis x1=0 x2=" + number(kWidth, 0) +
           " y1=" + number(kHeight - kPad) + " y2=" + number(kHeight - kPad) +
           " /><polyline class=trend points=\"" + line + "\" />" + dots + "</svg>\n<p class=soft>" +
           escaped(points.front().when) + " to " + escaped(points.back().when) + ", from " +
           number(points.front().rate, 2) + " to " + number(points.back().rate, 2) +
           " tok/s; the axis begins at 0.</p>\n";
}

std::string charts(const Json &document) {
    std::map<std::string, std::vector<const Json *>> by_test;
    for (const Json &entry : document["results"])
        if (!samples_of(entry).empty()) by_test[text(entry, "test")].push_back(&entry);
    std::string out;
    for (const auto &[test, entries] : by_test)
        out += "<h2>" + escaped(test) + ", tokens per second</h2>\n" + bars(entries);
    return out;
}

std::string trends(std::span<const Json> documents) {
    std::map<std::string, std::vector<Point>> by_key;
    for (const Json &document : documents)
        for (const Json &entry : document["results"])
            if (const auto samples = samples_of(entry); !samples.empty())
                by_key[entry_key(document, entry)].push_back(
                    {text(document, "timestamp"), median(samples)});
    std::string out;
    for (const auto &[key, points] : by_key)
        if (points.size() > 1) out += "<h2>Trend: " + escaped(key) + "</h2>\n" + trend(points);
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
    out += results_table(last) + charts(last) + trends(documents);
    out += "<h2>Machine</h2>\n" + pairs_table(last.value("hardware", Json::object()));
    out += "<h2>Model</h2>\n" + pairs_table(last.value("model", Json::object()));
    return out;
}

} // namespace realizar::bench
