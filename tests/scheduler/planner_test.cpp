// The planner against every assignment there is, on small random problems.
#include "core/scheduler/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace realizar {
namespace {

using Random = std::mt19937_64;

size_t below(Random &random, size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
}
double seconds(Random &random) { return std::uniform_real_distribution<double>(0.1, 10)(random); }

// Up to 7 atoms on up to 3 devices: some refused, some pools shared, budgets from ample to tight, a
// group that may have strangers between its members.
PlanProblem make_problem(Random &random) {
    PlanProblem problem;
    const size_t devices = 1 + below(random, 3), atoms = 1 + below(random, 7);
    const bool shared = devices > 1 && below(random, 4) == 0;
    for (size_t d = 0; d < devices; ++d) {
        problem.entry.push_back(seconds(random) / 2);
        problem.pool.push_back(shared && d > 0 ? d - 1 : d);
    }
    problem.budget.resize(devices - shared);
    for (uint64_t &budget : problem.budget)
        budget = below(random, 3) == 0 ? 1000 : 2 + below(random, 5 * atoms);
    for (size_t i = 0; i < atoms; ++i) {
        PlanAtom atom;
        for (size_t d = 0; d < devices; ++d) {
            atom.cost.push_back(below(random, 8) == 0 ? kRefused : seconds(random));
            atom.memory.push_back(below(random, 8));
        }
        for (size_t k = 0; i > 0 && k < devices * devices; ++k)
            atom.boundary.push_back(seconds(random));
        problem.atoms.push_back(std::move(atom));
    }
    if (atoms >= 3 && below(random, 2) == 0) {
        const size_t first = below(random, atoms - 2), last = first + 2;
        problem.atoms[first].group = problem.atoms[last].group = 7;
        if (last + 2 < atoms) problem.atoms[last + 1].group = problem.atoms[last + 2].group = 9;
    }
    return problem;
}

// The definition, written out once more and not shared with the planner.
double naive_cost(const PlanProblem &problem, const std::vector<size_t> &device) {
    double cost = 0;
    for (size_t i = 0; i < device.size(); ++i) {
        const bool changes = i > 0 && device[i] != device[i - 1];
        cost += problem.atoms[i].cost[device[i]];
        if (i == 0 || changes) cost += problem.entry[device[i]];
        if (changes)
            cost += problem.atoms[i].boundary[device[i - 1] * problem.devices() + device[i]];
        for (size_t j = 0; j < i; ++j)
            if (problem.atoms[i].group != kNoGroup &&
                problem.atoms[i].group == problem.atoms[j].group && device[i] != device[j])
                return kRefused;
    }
    for (size_t p = 0; p < problem.budget.size(); ++p) {
        uint64_t used = 0;
        for (size_t i = 0; i < device.size(); ++i)
            if (problem.pool[device[i]] == p) used += problem.atoms[i].memory[device[i]];
        if (used > problem.budget[p]) return kRefused;
    }
    return cost;
}

double best_of_all(const PlanProblem &problem) {
    std::vector<size_t> device(problem.atoms.size(), 0);
    double best = kRefused;
    while (true) {
        best = std::min(best, naive_cost(problem, device));
        size_t i = 0;
        while (i < device.size() && ++device[i] == problem.devices())
            device[i++] = 0;
        if (i == device.size()) return best;
    }
}

// What a planner would do that looks at one atom after the other.
double greedy(const PlanProblem &problem) {
    std::vector<size_t> device;
    for (const PlanAtom &atom : problem.atoms)
        device.push_back(
            static_cast<size_t>(std::ranges::min_element(atom.cost) - atom.cost.begin()));
    return naive_cost(problem, device);
}

TEST(Planner, FindsTheBestOfAll) {
    Random random(20261120);
    size_t impossible = 0, beaten = 0, split = 0;
    for (int round = 0; round < 4000; ++round) {
        SCOPED_TRACE(round);
        const PlanProblem problem = make_problem(random);
        const double best = best_of_all(problem);
        const auto solution = solve_plan(problem);
        ASSERT_EQ(solution.ok(), best < kRefused);
        if (!solution.ok()) {
            EXPECT_EQ(solution.error().tag, "no_plan");
            ++impossible;
            continue;
        }
        EXPECT_TRUE(solution->exact);
        EXPECT_NEAR(solution->cost, best, 1e-9 * best);
        EXPECT_NEAR(naive_cost(problem, solution->device), best, 1e-9 * best);
        EXPECT_NEAR(plan_cost(problem, solution->device), best, 1e-9 * best);
        split += std::ranges::adjacent_find(solution->device, std::not_equal_to()) !=
                 solution->device.end();
        beaten += greedy(problem) > best * (1 + 1e-9);
    }
    // The problems are worth solving: the comparison would notice a planner that is merely greedy.
    EXPECT_GT(impossible, 100u);
    EXPECT_GT(beaten, 500u);
    EXPECT_GT(split, 500u);
}

// 160 equal atoms of which the fast device holds 61: a short chain of labels, so still exact.
TEST(Planner, LongChainsOfEqualBlocksStayExact) {
    PlanProblem problem;
    problem.entry = {0.01, 0.001};
    problem.pool = {0, 1};
    problem.budget = {61 * 10 + 9, 1u << 20};
    for (size_t i = 0; i < 160; ++i) {
        PlanAtom atom{{1, 4}, {10, 10}, {}, kNoGroup};
        if (i > 0) atom.boundary = {0, 0.5, 0.5, 0};
        problem.atoms.push_back(atom);
    }
    const auto solution = solve_plan(problem);
    ASSERT_TRUE(solution.ok());
    EXPECT_TRUE(solution->exact);
    EXPECT_EQ(std::ranges::count(solution->device, 0u), 61);
    // One region each: the cheapest has a single change of device.
    EXPECT_NEAR(solution->cost, 61 + 99 * 4 + 0.5 + 0.011, 1e-9);
}

TEST(Planner, PlansDoNotFlap) {
    PlanProblem problem;
    problem.entry = {0, 0};
    problem.pool = {0, 1};
    problem.budget = {100, 100};
    problem.atoms = {{{1.00, 0.97}, {1, 1}, {}, kNoGroup}};
    const auto solution = solve_plan(problem);
    ASSERT_TRUE(solution.ok());
    const std::vector<size_t> here{0}, there{1}, nowhere{2};
    EXPECT_EQ(solution->device, there);
    EXPECT_EQ(with_hysteresis(problem, *solution, here, 0.05).device, here);
    EXPECT_EQ(with_hysteresis(problem, *solution, here, 0.02).device, there);
    EXPECT_EQ(with_hysteresis(problem, *solution, {}, 0.05).device, there);
    EXPECT_EQ(with_hysteresis(problem, *solution, nowhere, 0.05).device, there);
    problem.budget[0] = 0; // the old plan does not fit any more
    EXPECT_EQ(with_hysteresis(problem, *solution, here, 0.05).device, there);
}

} // namespace
} // namespace realizar
