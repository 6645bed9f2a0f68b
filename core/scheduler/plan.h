// From a model and devices to a placement: by preference where that is asked for and fits, else by
// measured cost.
#pragma once

#include "core/scheduler/atoms.h"
#include "core/scheduler/cost_measure.h"
#include "core/scheduler/cost_store.h"
#include "core/scheduler/planner.h"
#include "core/scheduler/runner.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace realizar {

inline constexpr double kMeasuring = 18; // seconds; one measurement may go on behind them

// The backend that is right, at a speed that need not be known.
inline constexpr const char *kReferenceDevice = "reference:0";

struct PlanOptions {
    std::vector<DevicePtr> devices; // in order of preference
    bool require_first = false;
    bool by_cost = false;         // also where the preferred placement fits
    std::vector<uint64_t> memory; // limits, as RunnerOptions has them
    std::vector<StepSample> samples;
    std::function<Result<WeightBytes>(uint64_t key)> weights; // as RunnerOptions has them
    std::function<void(std::span<const std::byte>)> release;
    std::shared_ptr<CostStore> store; // null: costs live as long as the planner
    uint32_t threads = 0;             // of the host, for the identity of devices
    double seconds = kMeasuring;      // for measuring, all devices together
    // Under which name the store keeps what devices were chosen, once all is measured; empty: under none.
    std::string decision;
    // Between measurements: devices done and in all. False cancels.
    std::function<bool(uint64_t done, uint64_t total)> progress;
};

// How an application wants a model placed; the devices themselves come with it.
struct PlacementOptions {
    bool by_cost = false;         // compare devices also where the preferred one can take all
    std::vector<uint64_t> memory; // limits in bytes, by device; 0 or absent: what it says is free
    std::filesystem::path costs;  // file that keeps measured costs; empty: none does
    uint32_t threads = 0;         // of the host
    double seconds = kMeasuring;  // that measuring may take
    std::string decision;         // as PlanOptions has it
    std::function<bool(uint64_t done, uint64_t total)> progress; // of measuring; false cancels
    PlaceFunction place;                                         // instead of all this
};

// An atom and what is known of it.
struct PlanPart {
    Atom atom;
    std::vector<std::vector<Cost>> cost; // by device and sample; 0 runs: an estimate
    std::vector<uint64_t> memory;        // by device: weights and states
    std::vector<size_t> device;          // by variant
};

struct PlanReport {
    bool by_cost = false; // else parts and figures are empty
    std::vector<PlanPart> parts;
    std::vector<LinkCost> links;             // by device
    std::vector<double> seconds;             // predicted, by sample
    std::vector<std::vector<double>> single; // the same with all on one device, by device; kRefused
    double measuring = 0;                    // seconds that measuring took
    bool exact = true;                       // false: the search left something out
};

// For a runner with these devices and weights.
PlanOptions plan_options(const PlacementOptions &placement, const RunnerOptions &run,
                         std::vector<StepSample> samples);

class ModelPlanner {
  public:
    explicit ModelPlanner(PlanOptions options) : options_(std::move(options)) {
        if (!options_.store) options_.store = std::make_shared<CostStore>();
    }

    // A PlaceFunction. Devices that are lost and nodes that were refused are left out. Rules:
    //  - Nodes that touch a STATE have one place. Other parts have one place for all variants too,
    //    unless a variant gains more than kSplitGain from another one and its weights fit there too.
    //  - The preferred device stays unless another one gains more than kGain, and one device alone
    //    unless several gain more than kSplitGain.
    // Tags: not_on_device, model_too_large, cancelled.
    Result<std::vector<Placement>> place(std::span<const Graph> variants,
                                         const Exclusions &exclusions);
    // Of the last place().
    const PlanReport &report() const { return report_; }
    const PlanOptions &options() const { return options_; }
    // Measures in silence from now on.
    void end_progress() { options_.progress = nullptr; }

    // As much as two measurements of one thing differ; and what the way between devices may take
    // beyond its prediction.
    static constexpr double kGain = 0.02, kSplitGain = 0.1;

  private:
    Status measure(std::span<const Graph> variants, const Exclusions &exclusions,
                   std::span<const Atom> atoms, bool all);
    void decide();              // keeps what devices the report names
    bool all_measured_ = false; // by the last measure()
    PlanOptions options_;
    PlanReport report_;
};

} // namespace realizar
