// Dynamic programming over the chain. A state is the device of the last atom and that of the open
// group; the labels of a state are the pairs (cost, memory used) that no other label beats in both.
// Without tight budgets a state has one label, and this is the shortest path through the chain.
// Repeated blocks take equal memory, so that even with budgets the labels stay few.
#include "core/scheduler/planner.h"

#include <algorithm>
#include <numeric>

namespace realizar {
namespace {

// Labels kept after an atom. More are only possible where several tight budgets meet many kinds of
// atoms; then those go on that promise least cost.
constexpr size_t kMostLabels = 2048;
// Labels of one state that a new one is compared with in both cost and memory. A label that escapes
// costs time, not exactness.
constexpr size_t kCompared = 32;

struct Label {
    double cost = 0;
    uint32_t parent = 0; // among the labels of the atom before
    uint32_t device = 0;
    uint32_t held = 0;          // device of the open group; only looked at while one is open
    std::vector<uint64_t> used; // of the tight pools
};

class Solver {
  public:
    explicit Solver(const PlanProblem &problem) : problem_(problem) {
        find_spans();
        find_tight_pools();
        bound_rest();
    }
    Result<PlanSolution> solve();

  private:
    void find_spans();
    void find_tight_pools();
    void bound_rest();
    bool open_after(size_t atom) const { return open_[atom]; }
    // Cost of the next atom on `to` behind `from`; kRefused where the open group is elsewhere.
    double step(size_t atom, size_t from, size_t held, size_t to) const;
    size_t held_after(size_t atom, size_t held, size_t device) const {
        if (!open_after(atom)) return 0;
        return problem_.atoms[atom].group == kNoGroup ? held : device;
    }
    size_t state(size_t device, size_t held) const { return device * devices_ + held; }
    bool charge(Label &label, size_t atom) const;
    std::vector<Label> prune(std::vector<Label> labels, size_t atom);

    const PlanProblem &problem_;
    const size_t devices_ = problem_.devices();
    std::vector<bool> open_;      // by atom: does its group, or one around it, go on behind?
    std::vector<bool> begins_;    // by atom: the first of its group
    std::vector<size_t> slot_;    // by device: place in Label::used; SIZE_MAX: no limit
    std::vector<uint64_t> limit_; // by slot
    std::vector<std::vector<double>>
        rest_; // by atom and state: cost of all behind it, memory aside
    bool exact_ = true;
};

void Solver::find_spans() {
    const size_t count = problem_.atoms.size();
    open_.assign(count, false);
    begins_.assign(count, false);
    for (size_t i = 0; i < count; ++i) {
        const size_t group = problem_.atoms[i].group;
        if (group == kNoGroup) continue;
        size_t last = count - 1;
        while (problem_.atoms[last].group != group)
            --last;
        const auto same = [&](const PlanAtom &atom) { return atom.group == group; };
        begins_[i] = std::none_of(problem_.atoms.begin(),
                                  problem_.atoms.begin() + static_cast<ptrdiff_t>(i), same);
        std::fill(open_.begin() + static_cast<ptrdiff_t>(i),
                  open_.begin() + static_cast<ptrdiff_t>(last), true);
    }
}

void Solver::find_tight_pools() {
    // A pool that everything fits into at once needs no counting.
    std::vector<uint64_t> most(problem_.budget.size(), 0);
    for (const PlanAtom &atom : problem_.atoms) {
        std::vector<uint64_t> worst(most.size(), 0);
        for (size_t d = 0; d < devices_; ++d)
            worst[problem_.pool[d]] = std::max(worst[problem_.pool[d]], atom.memory[d]);
        for (size_t p = 0; p < most.size(); ++p)
            most[p] += worst[p];
    }
    std::vector<size_t> slot_of_pool(most.size(), SIZE_MAX);
    for (size_t p = 0; p < most.size(); ++p) {
        if (most[p] <= problem_.budget[p]) continue;
        slot_of_pool[p] = limit_.size();
        limit_.push_back(problem_.budget[p]);
    }
    for (size_t d = 0; d < devices_; ++d)
        slot_.push_back(slot_of_pool[problem_.pool[d]]);
}

double Solver::step(size_t atom, size_t from, size_t held, size_t to) const {
    const PlanAtom &next = problem_.atoms[atom];
    if (next.group != kNoGroup && !begins_[atom] && held != to) return kRefused;
    double cost = next.cost[to];
    if (from != to) cost += problem_.entry[to] + next.boundary[from * devices_ + to];
    return cost;
}

void Solver::bound_rest() {
    const size_t count = problem_.atoms.size();
    rest_.assign(count, std::vector<double>(devices_ * devices_, 0));
    for (size_t i = count - 1; i-- > 0;)
        for (size_t d = 0; d < devices_; ++d)
            for (size_t held = 0; held < devices_; ++held) {
                double best = kRefused;
                for (size_t to = 0; to < devices_; ++to)
                    best = std::min(best, step(i + 1, d, held, to) +
                                              rest_[i + 1][state(to, held_after(i + 1, held, to))]);
                rest_[i][state(d, held)] = best;
            }
}

bool Solver::charge(Label &label, size_t atom) const {
    const size_t slot = slot_[label.device];
    if (slot == SIZE_MAX) return true;
    label.used[slot] += problem_.atoms[atom].memory[label.device];
    return label.used[slot] <= limit_[slot];
}

std::vector<Label> Solver::prune(std::vector<Label> labels, size_t atom) {
    std::ranges::stable_sort(labels, {}, &Label::cost);
    std::vector<Label> kept;
    std::vector<std::vector<size_t>> of_state(devices_ * devices_);
    for (Label &label : labels) {
        auto &others = of_state[state(label.device, label.held)];
        const auto beats = [&](size_t other) { // it costs no more, being earlier in the order
            return std::ranges::equal(kept[other].used, label.used, std::less_equal());
        };
        const size_t first = others.size() - std::min(others.size(), kCompared);
        if (std::any_of(others.begin() + static_cast<ptrdiff_t>(first), others.end(), beats) ||
            (!others.empty() && beats(others.front())))
            continue;
        others.push_back(kept.size());
        kept.push_back(std::move(label));
    }
    if (kept.size() > kMostLabels) {
        exact_ = false;
        const auto promise = [&](const Label &label) {
            return label.cost + rest_[atom][state(label.device, label.held)];
        };
        std::ranges::stable_sort(kept, {}, promise);
        kept.resize(kMostLabels);
    }
    return kept;
}

Result<PlanSolution> Solver::solve() {
    const size_t count = problem_.atoms.size();
    std::vector<std::vector<Label>> layers(count);
    for (size_t i = 0; i < count; ++i) {
        std::vector<Label> next;
        const size_t sources = i == 0 ? 1 : layers[i - 1].size();
        for (size_t source = 0; source < sources; ++source)
            for (size_t to = 0; to < devices_; ++to) {
                Label label;
                if (i == 0) {
                    label.cost = problem_.entry[to] + problem_.atoms[0].cost[to];
                    label.used.resize(limit_.size());
                } else {
                    label = layers[i - 1][source];
                    label.cost += step(i, label.device, label.held, to);
                }
                label.parent = static_cast<uint32_t>(source);
                label.device = static_cast<uint32_t>(to);
                label.held = static_cast<uint32_t>(held_after(i, label.held, to));
                if (label.cost + rest_[i][state(to, label.held)] < kRefused && charge(label, i))
                    next.push_back(std::move(label));
            }
        layers[i] = prune(std::move(next), i);
        if (layers[i].empty())
            return make_error(Code::out_of_memory, "no_plan",
                              "no assignment to the devices fits their memory: part %zu of %zu has "
                              "no place",
                              i + 1, count);
    }
    PlanSolution solution;
    solution.device.resize(count);
    solution.exact = exact_;
    size_t at = 0; // the cheapest, as labels are in order
    for (size_t k = 0; k < layers.back().size(); ++k)
        if (layers.back()[k].cost < layers.back()[at].cost) at = k;
    solution.cost = layers.back()[at].cost;
    for (size_t i = count; i-- > 0;) {
        solution.device[i] = layers[i][at].device;
        at = layers[i][at].parent;
    }
    return solution;
}

} // namespace

double plan_cost(const PlanProblem &problem, std::span<const size_t> device) {
    if (device.size() != problem.atoms.size()) return kRefused;
    double cost = 0;
    std::vector<uint64_t> used(problem.budget.size(), 0);
    for (size_t i = 0; i < device.size(); ++i) {
        const PlanAtom &atom = problem.atoms[i];
        const size_t d = device[i];
        if (d >= problem.devices()) return kRefused;
        for (size_t j = 0; j < i; ++j)
            if (atom.group != kNoGroup && problem.atoms[j].group == atom.group && device[j] != d)
                return kRefused;
        cost += atom.cost[d];
        if (i == 0 || device[i - 1] != d) cost += problem.entry[d];
        if (i > 0 && device[i - 1] != d)
            cost += atom.boundary[device[i - 1] * problem.devices() + d];
        used[problem.pool[d]] += atom.memory[d];
    }
    for (size_t p = 0; p < used.size(); ++p)
        if (used[p] > problem.budget[p]) return kRefused;
    return cost;
}

Result<PlanSolution> solve_plan(const PlanProblem &problem) { return Solver(problem).solve(); }

PlanSolution with_hysteresis(const PlanProblem &problem, PlanSolution solution,
                             std::span<const size_t> incumbent, double gain) {
    const double cost = plan_cost(problem, incumbent);
    if (cost == kRefused || solution.cost < cost * (1 - gain)) return solution;
    return {{incumbent.begin(), incumbent.end()}, cost, solution.exact};
}

} // namespace realizar
