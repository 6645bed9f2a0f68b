#include "bench/plots.h"

#include "core/common/result.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace realizar::bench {
namespace {

constexpr double kWidth = 900;

// Values for the lines of an axis that begins at 0: about five, each 1, 2 or 5 times a power of ten.
struct Ticks {
    double step = 1, end = 1; // the last one, not below the largest value
    int digits = 0;           // behind the point
};

Ticks ticks_to(double most) {
    Ticks ticks;
    if (!(most > 0) || !std::isfinite(most)) return ticks;
    const double rough = most / 5, power = std::pow(10, std::floor(std::log10(rough)));
    const double lead = rough / power;
    ticks.step = power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
    ticks.end = ticks.step * std::ceil(most / ticks.step - 1e-9);
    ticks.digits = std::max(0, -static_cast<int>(std::floor(std::log10(ticks.step) + 1e-9)));
    return ticks;
}

std::string attribute(const char *name, double value) {
    return std::string(" ") + name + "=" + number(value);
}

std::string line(const char *kind, double x1, double y1, double x2, double y2) {
    return std::string("<line class=") + kind + attribute("x1", x1) + attribute("y1", y1) +
           attribute("x2", x2) + attribute("y2", y2) + " />";
}

// `anchor`: start, middle or end.
std::string words(double x, double y, const char *anchor, const std::string &text,
                  const char *kind = "value") {
    return std::string("<text class=") + kind + attribute("x", x) + attribute("y", y) +
           " text-anchor=" + anchor + ">" + escaped(text) + "</text>";
}

std::string open_svg(double height, const std::string &title) {
    return "<svg viewBox=\"0 0 " + number(kWidth, 0) + " " + number(height, 0) +
           "\" role=img>\n<title>" + escaped(title) + "</title>\n";
}

// "2026-11-20T19:33:00Z" as "2026-11-20" or "19:33".
std::string day_of(const std::string &when) { return when.substr(0, 10); }
std::string minute_of(const std::string &when) {
    return when.size() >= 16 ? when.substr(11, 5) : std::string();
}

} // namespace

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

std::string number(double value, int digits) {
    char out[48];
    std::snprintf(out, sizeof out, "%.*f", digits, value);
    return out;
}

std::string bar_chart(std::span<const Bar> bars, const std::string &unit) {
    if (bars.empty()) return {};
    constexpr double kLabel = 310, kRow = 26, kValue = 80, kAxis = 40;
    constexpr size_t kLetters = 46; // of a label
    double most = 0;
    for (const Bar &bar : bars)
        most = std::max({most, bar.value, bar.interval.high});
    const Ticks ticks = ticks_to(most);
    const double scale = (kWidth - kLabel - kValue) / ticks.end;
    const double bottom = kRow * static_cast<double>(bars.size());
    std::string out = open_svg(bottom + kAxis, unit);
    for (double at = 0; at <= ticks.end * (1 + 1e-9); at += ticks.step) {
        const double x = kLabel + scale * at;
        out += line(at == 0 ? "axis" : "grid", x, 0, x, bottom) +
               words(x, bottom + 16, "middle", number(at, ticks.digits), "tick") + "\n";
    }
    out += words((kLabel + kWidth - kValue) / 2, bottom + 34, "middle", unit, "tick") + "\n";
    double y = 0;
    for (const Bar &bar : bars) {
        const double middle = y + kRow / 2;
        const double low = kLabel + scale * bar.interval.low;
        const double high = kLabel + scale * bar.interval.high;
        const bool cut = bar.label.size() > kLetters;
        const std::string label = cut ? bar.label.substr(0, kLetters - 3) + "..." : bar.label;
        out += words(0, middle + 4, "start", label) + "<rect class=" + (bar.peer ? "peer" : "bar") +
               attribute("x", kLabel) + attribute("y", y + 5) +
               attribute("width", scale * bar.value) + attribute("height", kRow - 10) + "><title>" +
               escaped(bar.label) + "</title></rect>" + line("whisker", low, middle, high, middle) +
               line("whisker", low, middle - 4, low, middle + 4) +
               line("whisker", high, middle - 4, high, middle + 4) +
               words(std::max(high, kLabel + scale * bar.value) + 6, middle + 4, "start",
                     number(bar.value)) +
               "\n";
        y += kRow;
    }
    return out + "</svg>\n";
}

std::string trend_chart(std::span<const TrendPoint> points, const std::string &unit) {
    if (points.size() < 2) return {};
    constexpr double kLeft = 70, kRight = 40, kTop = 24, kBottom = 190, kHeight = 230;
    constexpr size_t kLabels = 8;
    double most = 0;
    for (const TrendPoint &point : points)
        most = std::max({most, point.value, point.interval.high});
    const Ticks ticks = ticks_to(most);
    const double scale = (kBottom - kTop) / ticks.end;
    const double step = (kWidth - kLeft - kRight) / static_cast<double>(points.size() - 1);
    std::string out = open_svg(kHeight, unit) + words(0, 12, "start", unit, "tick") + "\n";
    for (double at = 0; at <= ticks.end * (1 + 1e-9); at += ticks.step) {
        const double y = kBottom - scale * at;
        out += line(at == 0 ? "axis" : "grid", kLeft, y, kWidth - kRight, y) +
               words(kLeft - 8, y + 4, "end", number(at, ticks.digits), "tick") + "\n";
    }
    const size_t every = (points.size() + kLabels - 1) / kLabels;
    std::string path, marks;
    for (size_t i = 0; i < points.size(); ++i) {
        const TrendPoint &point = points[i];
        const double x = kLeft + step * static_cast<double>(i);
        const double y = kBottom - scale * point.value;
        path += number(x) + "," + number(y) + " ";
        marks += line("whisker", x, kBottom - scale * point.interval.low, x,
                      kBottom - scale * point.interval.high) +
                 "<circle class=bar r=4" + attribute("cx", x) + attribute("cy", y) + "><title>" +
                 escaped(point.when) + ": " + number(point.value, 2) + " " + escaped(unit) +
                 "</title></circle>\n";
        if (i % every == 0)
            marks += words(x, kBottom + 18, "middle", day_of(point.when), "tick") +
                     words(x, kBottom + 34, "middle", minute_of(point.when), "tick") + "\n";
    }
    return out + "<polyline class=trend points=\"" + path + "\" />\n" + marks + "</svg>\n";
}

} // namespace realizar::bench
