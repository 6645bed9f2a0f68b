// Suites: named checks, each with a target, a limit to pass and the figure of this machine.
//
// A check that lacks its means (a device, a model of that size, a peer) is skipped with the reason. A
// figure is what was measured, also where it is below the limit; a wrong result has no figure.
#pragma once

#include "bench/contender.h"
#include "bench/environment.h"
#include "bench/format_text.h"
#include "bench/workload.h"
#include "core/engine/engine.h"

#include <functional>
#include <memory>
#include <span>
#include <string>

namespace realizar::bench {

// What checks work with. Devices may be null.
struct Bed {
    DevicePtr cpu, gpu, reference;
    std::string no_cpu, no_gpu;           // why not
    std::vector<DevicePtr> devices;       // all that there are, for comparisons between them
    std::shared_ptr<const GgufFile> file; // the model
    std::string path;                     // of its file; empty: it is built in
    double seconds = 0.5;                 // for timing a figure
    // A peer with the same model on the same kind of device. Empty: there is none.
    std::function<Result<std::unique_ptr<Contender>>(const DevicePtr &, uint32_t context)> peer;
    std::function<bool(const std::string &id)> progress; // false cancels

    EngineOptions options(const DevicePtr &device,
                          uint32_t context) const; // and the CPU as the second
    // The model on this device and, for what it cannot run, the CPU. The last one is kept.
    Result<std::shared_ptr<Engine>> engine(const DevicePtr &device, uint32_t context);
    double parameters() const; // of the model
    void release() { kept_ = {}; }

  private:
    struct Kept {
        DevicePtr device;
        uint32_t context = 0;
        std::shared_ptr<Engine> engine;
    } kept_;
};

struct Finding {
    double value = 0;
    std::string note;
};

enum class Needs { nothing, cpu, gpu }; // of the devices

struct Check {
    const char *id;
    const char *measures;
    const char *unit;
    double target, limit;
    bool more; // is better
    Needs needs;
    // Code::unavailable, unsupported and out_of_memory skip the check; other errors fail it. Tag of a
    // result that differs from what it must be: wrong_result.
    Result<Finding> (*run)(Bed &);
};

// "GPU-001" to "GPU-025" and "IMP-001" to "IMP-005", with the targets of the original's harness.
std::span<const Check> parity_cpu();
std::span<const Check> parity_kernels();
std::span<const Check> parity_models();

// {"id", "measures", "unit", "target", "limit", "better", "value", "status", "device", "note"}; status is
// target, pass, below (the limit), fail or skip (also what is left when the suite is cancelled).
Json run_check(const Check &check, Bed &bed);
std::string checks_text(const Json &document); // a table with counts
// The counts alone: {"target", "pass", "below", "fail", "skip"}.
Json count_checks(const Json &checks);

// Times of matrix products from small to large on each device, what the planner chose, what that costs
// against the best device, and from which size on another device than the first is faster. If it is
// cancelled, of the products so far. Tag: cancelled, before the first one.
Result<Json> run_crossover(Bed &bed);
std::string crossover_text(const Json &document);

// What both kinds of documents of bench/schema/suite-1.0.schema.json begin with.
Json suite_json(const std::string &suite, const Bed &bed, Json environment);

Error missing(const std::string &what);      // skips
Error wrong_result(const std::string &what); // fails

} // namespace realizar::bench
