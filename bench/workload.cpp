#include "bench/workload.h"

#include "bench/statistics.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace realizar::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Tokens that differ from each other, the same for all contenders. Their values do not matter for
// speed; id 0 to 9 are left out because they are often special.
std::vector<int32_t> make_tokens(uint32_t count, uint32_t vocabulary) {
    std::vector<int32_t> tokens(count);
    uint32_t state = 12345;
    for (int32_t &token : tokens) {
        state = state * 1664525u + 1013904223u; // Numerical Recipes' linear congruential generator
        token = static_cast<int32_t>(10 + (state >> 8) % (vocabulary - 10));
    }
    return tokens;
}

// Leaves exactly the context of the workload in the contender.
Status set_up(Contender &contender, const Workload &work, std::span<const int32_t> tokens,
              bool first) {
    if (!first && work.depth > 0 && contender.cut(work.depth)) return {};
    RZ_TRY(contender.clear());
    return work.depth > 0 ? contender.prompt(tokens.first(work.depth)) : Status();
}

// NaN where unknown, so that no comparison holds.
double joules_now(Sensors *sensors) {
    const std::optional<double> joules = sensors ? sensors->joules() : std::nullopt;
    return joules.value_or(std::numeric_limits<double>::quiet_NaN());
}

// Appends to the measurement, unless it is the warm-up.
Status time_once(Contender &contender, Measurement &measurement, bool warm_up, Sensors *sensors) {
    const Workload &work = measurement.work;
    const auto tokens = make_tokens(
        std::max(work.depth + work.prompt, work.sequences + work.decode), contender.vocabulary());
    RZ_TRY(set_up(contender, work, tokens, measurement.warm_ups == 0));
    const double joules = joules_now(sensors);
    std::vector<double> steps;
    steps.reserve(work.decode + 1);
    const auto start = Clock::now();
    double before = 0;
    const auto lap = [&] {
        const double now = seconds_since(start);
        steps.push_back((now - before) * 1e3);
        before = now;
    };
    if (work.prompt > 0) {
        RZ_TRY(contender.prompt(std::span(tokens).subspan(work.depth, work.prompt)));
        lap();
    }
    for (uint32_t i = 0; i < work.decode; ++i) {
        RZ_TRY(contender.decode(std::span(tokens).subspan(i, work.sequences), work.depth + i));
        lap();
    }
    if (warm_up) return {};
    measurement.samples.push_back(static_cast<double>(work.tokens()) / before);
    measurement.step_ms.insert(measurement.step_ms.end(), steps.begin(), steps.end());
    const double used = joules_now(sensors) - joules;
    if (used >= 0) measurement.joules = measurement.joules.value_or(0) + used; // counters wrap
    if (sensors)
        if (const auto degrees = sensors->temperature())
            measurement.temperatures.push_back(*degrees);
    return {};
}

// All contenders stop together, so that each has as many samples as the others.
bool all_stop(std::span<Measurement> rows, const StopRule &rule, double seconds) {
    bool all = true;
    for (Measurement &row : rows) {
        row.stop = should_stop(rule, row.samples, seconds);
        all = all && row.stop != Stop::no;
    }
    return all;
}

} // namespace

std::string Workload::label() const {
    if (is_load()) return "load";
    std::string text = prompt > 0 ? "pp" + std::to_string(prompt) : "tg" + std::to_string(decode);
    if (sequences > 1) text += "x" + std::to_string(sequences);
    if (depth > 0) text += "@d" + std::to_string(depth);
    return text;
}

double Measurement::median() const { return bench::median(samples); }
double Measurement::min() const { return samples.empty() ? 0 : std::ranges::min(samples); }
double Measurement::max() const { return samples.empty() ? 0 : std::ranges::max(samples); }

namespace {

using Progress = std::function<bool(const std::string &)>;

// Calls time(i, warm_up) for each row in turn, until the rule says stop for all of them.
template <class Time>
Status take_turns(std::span<Measurement> rows, const StopRule &rule, const Progress &progress,
                  Time time) {
    Clock::time_point start = Clock::now();
    bool warm_up = true;
    while (warm_up || !all_stop(rows, rule, seconds_since(start))) {
        for (size_t i = 0; i < rows.size(); ++i) {
            if (progress && !progress(rows[i].work.label() + " " + rows[i].contender))
                return make_error(Code::cancelled, "cancelled", "the benchmark was cancelled");
            RZ_TRY(time(i, warm_up));
            if (warm_up) ++rows[i].warm_ups;
        }
        if (!warm_up || seconds_since(start) < rule.warm_up_s) continue;
        warm_up = false;
        start = Clock::now();
    }
    return {};
}

} // namespace

Result<std::vector<Measurement>> measure(std::span<const std::unique_ptr<Contender>> contenders,
                                         std::span<const Workload> workloads, const StopRule &rule,
                                         const Progress &progress, Sensors *sensors) {
    std::vector<Measurement> all;
    for (const Workload &work : workloads) {
        std::vector<Measurement> rows(contenders.size());
        for (size_t i = 0; i < rows.size(); ++i) {
            rows[i].contender = contenders[i]->name();
            rows[i].work = work;
        }
        RZ_TRY(take_turns(rows, rule, progress, [&](size_t i, bool warm_up) {
            return time_once(*contenders[i], rows[i], warm_up, sensors);
        }));
        all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
}

Result<std::vector<Measurement>> measure_loads(std::span<const Loader> loaders,
                                               const StopRule &rule, const Progress &progress) {
    std::vector<Measurement> rows(loaders.size());
    for (size_t i = 0; i < rows.size(); ++i)
        rows[i].contender = loaders[i].name;
    RZ_TRY(take_turns(rows, rule, progress, [&](size_t i, bool warm_up) -> Status {
        const auto start = Clock::now();
        RZ_ASSIGN(const std::shared_ptr<void> loaded, loaders[i].load());
        const double seconds = seconds_since(start);
        if (warm_up) return {};
        rows[i].samples.push_back(1 / seconds);
        rows[i].step_ms.push_back(seconds * 1e3);
        return {};
    }));
    return rows;
}

} // namespace realizar::bench
