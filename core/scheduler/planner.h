// Which part of a model runs where: the cheapest assignment under memory budgets, on plain numbers.
//
// A model is a chain of atoms (core/scheduler/atoms.h). Neighbours on one device become one region.
// The cost of an assignment is, over the chain,
//   entry[d] for each region, boundary(from, to) where the device changes, and cost[d] of each atom;
// each atom takes memory[d] of the pool of its device. Atoms of one group stay on one device.
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace realizar {

inline constexpr double kRefused = std::numeric_limits<double>::infinity(); // cannot run there
inline constexpr size_t kNoGroup = SIZE_MAX;

struct PlanAtom {
    std::vector<double> cost;     // seconds, by device; kRefused
    std::vector<uint64_t> memory; // bytes, by device
    // Seconds from * devices + to before this atom; empty before the first.
    std::vector<double> boundary;
    // Atoms with one group run on one device. The spans of two groups do not overlap.
    size_t group = kNoGroup;
};

struct PlanProblem {
    std::vector<PlanAtom> atoms; // in order of execution; at least one
    std::vector<double> entry;   // seconds to start and await a region, by device
    std::vector<size_t> pool;    // memory that a device uses, by device: one GPU may be two devices
    std::vector<uint64_t> budget; // bytes, by pool
    size_t devices() const { return entry.size(); }
};

struct PlanSolution {
    std::vector<size_t> device; // by atom
    double cost = 0;            // seconds
    bool exact = true;          // false: so many ways that some were left out
};

// The cost of an assignment; kRefused if it breaks a rule.
double plan_cost(const PlanProblem &problem, std::span<const size_t> device);

// The cheapest assignment. Tag no_plan: there is none.
Result<PlanSolution> solve_plan(const PlanProblem &problem);

// Keeps `incumbent` (a device per atom; empty: there is none) unless the solution is cheaper by more
// than the part `gain` of its cost: plans do not flap, and a split must be worth it.
PlanSolution with_hysteresis(const PlanProblem &problem, PlanSolution solution,
                             std::span<const size_t> incumbent, double gain);

} // namespace realizar
