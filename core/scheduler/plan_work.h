// What one ModelPlanner::place() knows: atoms with their costs and memory, from which come problems for
// the planner, and placements with reasons from its solutions.
#pragma once

#include "core/scheduler/placement.h"
#include "core/scheduler/plan.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace realizar {

// The methods that are not const write into the report, in the order in which they stand here; all refer
// to what the constructor was given. Not thread-safe.
class PlanWork {
  public:
    PlanWork(const PlanOptions &options, PlanReport &report, std::span<const Graph> variants)
        : options_(options), report_(report), variants_(variants),
          hopeless_(options.devices.size(), false) {}

    // Parts and links: what the store knows, and estimates for what it does not.
    Status fill(std::vector<Atom> atoms, const Exclusions &exclusions);
    // Costs that one device lacks, after those of another one that has all.
    void estimate_by_others();
    // All that this placement takes is measured, or known to be far too slow.
    bool measured(const Placement &placement) const;
    // One place for all variants, by the costs of all samples. Tags: those of solve_plan().
    Result<PlanSolution> solve_all(const Placement &preferred);
    // Gives all parts the devices of `home`, or, for a variant of the graph, others where that gains
    // enough and fits beside it; and says what steps take then.
    void split(const PlanSolution &home);
    std::vector<Placement> placements() const;

  private:
    // The cheapest device that can run and hold all, or the preferred one where that is hardly slower.
    std::optional<PlanSolution> on_one_device(const PlanProblem &ample,
                                              std::span<const size_t> preferred) const;
    void split_variant(size_t variant, const PlanSolution &home);
    // Seconds of a step, by sample, and with all on one device.
    void predict();
    size_t devices() const { return options_.devices.size(); }
    // Of all samples, or of those of one variant.
    PlanProblem problem(std::optional<size_t> variant) const;
    double weighed(const PlanPart &part, size_t device, std::optional<size_t> variant) const;
    void set_budgets(PlanProblem &problem) const;
    std::vector<size_t> assignment(const Placement &placement) const;
    std::string reason(size_t variant, size_t first, size_t last) const;

    const PlanOptions &options_;
    PlanReport &report_;
    std::span<const Graph> variants_;
    std::vector<bool> hopeless_; // devices that are far slower than another one
};

} // namespace realizar
