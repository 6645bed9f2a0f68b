// What is timed, and how: the same token work given to several engines in turn.
//
// A workload is a prompt of p tokens, or n decode steps of s sequences after d tokens of context, or, with
// neither, a load. Each
// repetition runs every contender once, A B A B ..., so that drift of the machine hits all alike.
#pragma once

#include "bench/contender.h"
#include "bench/stop_rule.h"

#include <functional>
#include <optional>
#include <vector>

namespace realizar::bench {

struct Workload {
    uint32_t prompt = 0;    // tokens; 0: a decode workload
    uint32_t decode = 0;    // steps
    uint32_t depth = 0;     // tokens in the context before; one sequence only
    uint32_t sequences = 1; // decoded together
    bool is_load() const { return prompt == 0 && decode == 0; }
    std::string label() const; // "pp512", "tg64", "tg64@d4096", "tg64x8", "load"
    uint32_t context() const { return depth + prompt + decode; }
    uint64_t tokens() const { return prompt + uint64_t{decode} * sequences; }
};

// What a machine tells of itself while it works. Unknown is nullopt, never a guess.
class Sensors {
  public:
    virtual ~Sensors() = default;
    virtual std::optional<double> joules() = 0;      // used up to now; only differences matter
    virtual std::optional<double> temperature() = 0; // in degrees Celsius, of the hottest part
};

struct Measurement {
    std::string contender;
    Workload work;
    std::vector<double> samples;      // tokens (or loads) per second, as measured, without warm-up
    std::vector<double> step_ms;      // of each decode step, whole prompt or load
    std::vector<double> temperatures; // one after each repetition, where known
    std::optional<double> joules;     // of all repetitions
    uint32_t warm_ups = 0;            // runs before the first sample
    Stop stop = Stop::no;
    double median() const;
    double min() const;
    double max() const;
};

// Runs each workload for warm-up, once or for as long as the rule says, and then until the rule says stop for every contender.
// `progress` may be empty; returning false cancels. `sensors` may be null.
Result<std::vector<Measurement>> measure(std::span<const std::unique_ptr<Contender>> contenders,
                                         std::span<const Workload> workloads, const StopRule &rule,
                                         const std::function<bool(const std::string &)> &progress,
                                         Sensors *sensors = nullptr);

// Loads a model with nothing left to do before the first token. Dropping what it returns frees all of it.
struct Loader {
    std::string name;
    std::function<Result<std::shared_ptr<void>>()> load;
};

// Times loads by all loaders in turns, as measure(): each is freed, untimed, before the next begins, and
// the first of each, which may have to read the file, does not count.
Result<std::vector<Measurement>>
measure_loads(std::span<const Loader> loaders, const StopRule &rule,
              const std::function<bool(const std::string &)> &progress);

} // namespace realizar::bench
