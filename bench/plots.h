// Drawings for pages of results: SVG as text, styled by the classes of page.cpp, without scripts.
#pragma once

#include "bench/statistics.h"

#include <span>
#include <string>

namespace realizar::bench {

// As text between tags and in quoted attributes.
std::string escaped(const std::string &text);
std::string number(double value, int digits = 1);

struct Bar {
    std::string label;
    double value = 0;
    Interval interval; // drawn as a whisker
    bool peer = false; // in another colour
};
// Horizontal bars above one axis from 0 with its unit; empty for none.
std::string bar_chart(std::span<const Bar> bars, const std::string &unit);

struct TrendPoint {
    std::string when; // "2026-11-20T19:00:00Z"
    double value = 0;
    Interval interval;
};
// One point for each run, in order and evenly spaced, above 0; empty below two points.
std::string trend_chart(std::span<const TrendPoint> points, const std::string &unit);

} // namespace realizar::bench
