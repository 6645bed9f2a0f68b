// One self-contained HTML page of results: tables, bars with intervals, and the trend over a history.
#pragma once

#include "bench/environment.h"

#include <span>
#include <string>

namespace realizar::bench {

// Documents (record.h), oldest first; the last one is shown in full, all of them as trends. No
// scripts, no outside resources.
std::string html_page(std::span<const Json> documents);

} // namespace realizar::bench
