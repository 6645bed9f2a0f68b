#include "bench/stop_rule.h"

#include "bench/statistics.h"

namespace realizar::bench {

const char *stop_name(Stop stop) {
    switch (stop) {
    case Stop::variation: return "variation";
    case Stop::most: return "most";
    case Stop::budget: return "budget";
    default: return "no";
    }
}

Stop should_stop(const StopRule &rule, std::span<const double> samples, double seconds) {
    if (samples.empty()) return Stop::no;
    if (samples.size() >= rule.most) return Stop::most;
    if (rule.budget_s > 0 && seconds >= rule.budget_s) return Stop::budget;
    if (samples.size() < rule.least) return Stop::no;
    const bool agree = coefficient_of_variation(without_outliers(samples)) <= rule.variation;
    return agree ? Stop::variation : Stop::no;
}

} // namespace realizar::bench
