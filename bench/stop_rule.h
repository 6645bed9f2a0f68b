// When enough repetitions have been timed.
#pragma once

#include <cstdint>
#include <span>

namespace realizar::bench {

enum class Stop {
    no,        // go on
    variation, // the samples agree well enough
    most,      // no more repetitions are allowed
    budget,    // no more time is allowed
};
const char *stop_name(Stop stop);

struct StopRule {
    uint32_t least = 5, most = 100; // repetitions; equal: exactly so many
    double variation = 0.02;        // bound of the coefficient of variation, outliers left out
    double budget_s = 10;           // of all repetitions of one test together; 0: none
    double warm_up_s = 0;           // before the first repetition; 0: one untimed run of each
};

// `seconds` is the time since the first repetition after the warm-up began. A budget that is over
// stops before `least`, but never before one sample.
Stop should_stop(const StopRule &rule, std::span<const double> samples, double seconds);

} // namespace realizar::bench
