#include "core/scheduler/plan_work.h"

#include "core/graph/infer.h"
#include "core/scheduler/memory_need.h"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace realizar {
namespace {

// Where nothing was measured, operations a second and what links take. Slower than anything is, so that
// such a device gets only what no other one can run or hold.
constexpr double kPlainRate = 1e6, kPlainLaunch = 1e-3, kPlainByte = 1e-8;
// Of the memory that a device says is free, scratch and the driver's own take some.
constexpr uint64_t kSparePercent = 5;

// A multiplication for each element of the weights and each row.
double estimate(const Graph &graph, const Atom &atom, const StepSample &sample) {
    const Graph part = graph.extract(atom.begin, atom.end).graph;
    double elements = 1000;
    for (TensorId id = 0; id < part.tensors().size(); ++id) {
        const rz_tensor &tensor = part.tensors()[id];
        if (tensor.role != RZ_ROLE_WEIGHT || tensor.storage != id) continue;
        double count = 1;
        for (uint32_t i = 0; i < tensor.rank; ++i)
            count *= static_cast<double>(tensor.dims[i]);
        elements += count;
    }
    return elements * static_cast<double>(sample.symbols.front()) / kPlainRate;
}

std::string milliseconds(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g ms", seconds * 1e3);
    return text;
}

} // namespace

Status PlanWork::fill(std::vector<Atom> atoms, const Exclusions &exclusions) {
    report_.parts.clear();
    report_.links.clear();
    std::vector<std::string> identity;
    for (size_t d = 0; d < devices(); ++d) {
        identity.push_back(device_identity(*options_.devices[d], options_.threads));
        const LinkCost *link = options_.store->find_link(identity[d]);
        report_.links.push_back(link ? *link : LinkCost{kPlainLaunch, kPlainByte, kPlainByte});
    }
    for (Atom &atom : atoms) {
        PlanPart part;
        for (size_t d = 0; d < devices(); ++d) {
            MemoryNeed need;
            if (atom.runs[d] && !exclusions.lost.contains(d)) {
                RZ_ASSIGN(need, memory_of_part(variants_.front(), atom.begin, atom.end,
                                               options_.devices[d]));
            }
            part.memory.push_back(need.total());
            std::vector<Cost> costs;
            for (const StepSample &sample : options_.samples) {
                const Cost *known = find_cost(*options_.store, identity[d], atom, sample);
                costs.push_back(
                    known ? *known : Cost{estimate(variants_[sample.variant], atom, sample), 1, 0});
            }
            part.cost.push_back(std::move(costs));
        }
        part.atom = std::move(atom);
        report_.parts.push_back(std::move(part));
    }
    return {};
}

void PlanWork::estimate_by_others() {
    const auto all_known = [&](size_t d) {
        return std::ranges::all_of(report_.parts, [d](const PlanPart &part) {
            return !part.atom.runs[d] || std::ranges::all_of(part.cost[d], [](const Cost &cost) {
                return cost.runs > 0;
            });
        });
    };
    for (size_t d = 0; d < devices(); ++d) {
        if (all_known(d)) continue;
        for (size_t other = 0; other < devices(); ++other) {
            if (!all_known(other)) continue;
            double here = 0, there = 0;
            const auto each = [&](auto &&visit) {
                for (PlanPart &part : report_.parts)
                    for (size_t s = 0; s < options_.samples.size(); ++s)
                        if (part.atom.runs[d] && part.atom.runs[other])
                            visit(part.cost[d][s], part.cost[other][s], options_.samples[s].weight);
            };
            each([&](const Cost &mine, const Cost &theirs, double weight) {
                if (mine.runs == 0) return;
                here += mine.seconds * weight;
                there += theirs.seconds * weight;
            });
            if (here <= 0 || there <= 0) continue;
            each([&](Cost &mine, const Cost &theirs, double) {
                if (mine.runs == 0) mine.seconds = theirs.seconds * here / there;
            });
            hopeless_[d] = here > kHopeless * there;
            break;
        }
    }
}

double PlanWork::weighed(const PlanPart &part, size_t device, std::optional<size_t> variant) const {
    if (!part.atom.runs[device]) return kRefused;
    double sum = 0;
    for (size_t s = 0; s < options_.samples.size(); ++s)
        if (!variant || options_.samples[s].variant == *variant)
            sum += part.cost[device][s].seconds * options_.samples[s].weight;
    return sum;
}

void PlanWork::set_budgets(PlanProblem &problem) const {
    // One physical device that two plugins see has its memory once.
    for (size_t d = 0; d < devices(); ++d) {
        const auto &uuid = options_.devices[d]->info().uuid;
        const bool known = std::ranges::any_of(uuid, [](uint8_t byte) { return byte != 0; });
        size_t pool = d;
        for (size_t e = 0; e < d && known && pool == d; ++e)
            if (std::ranges::equal(uuid, options_.devices[e]->info().uuid)) pool = problem.pool[e];
        problem.pool.push_back(pool);
    }
    problem.budget.assign(devices(), std::numeric_limits<uint64_t>::max());
    for (size_t d = 0; d < devices(); ++d) {
        uint64_t limit = memory_limit(options_.devices, options_.memory, d);
        if (limit == 0) continue;
        const bool given = d < options_.memory.size() && options_.memory[d] > 0;
        if (!given) limit -= limit / 100 * kSparePercent;
        problem.budget[problem.pool[d]] = std::min(problem.budget[problem.pool[d]], limit);
    }
}

PlanProblem PlanWork::problem(std::optional<size_t> variant) const {
    PlanProblem problem;
    const size_t n = devices();
    std::vector<std::vector<uint64_t>> crossing; // by sample and cut
    double steps = 0;
    for (const StepSample &sample : options_.samples) {
        crossing.push_back(crossing_bytes(variants_[sample.variant], sample.symbols));
        if (!variant || sample.variant == *variant) steps += sample.weight;
    }
    for (size_t d = 0; d < n; ++d)
        problem.entry.push_back(report_.links[d].launch * steps);
    set_budgets(problem);
    for (const PlanPart &part : report_.parts) {
        PlanAtom atom;
        atom.memory = part.memory;
        atom.group = part.atom.group;
        double bytes = 0; // over all steps
        for (size_t s = 0; s < options_.samples.size(); ++s)
            if (!variant || options_.samples[s].variant == *variant)
                bytes +=
                    static_cast<double>(crossing[s][part.atom.begin]) * options_.samples[s].weight;
        for (size_t d = 0; d < n; ++d)
            atom.cost.push_back(weighed(part, d, variant));
        for (size_t k = 0; !problem.atoms.empty() && k < n * n; ++k)
            atom.boundary.push_back(bytes * (report_.links[k / n].out + report_.links[k % n].in));
        problem.atoms.push_back(std::move(atom));
    }
    return problem;
}

std::vector<size_t> PlanWork::assignment(const Placement &placement) const {
    std::vector<size_t> device;
    for (const PlanPart &part : report_.parts)
        for (const PlacedRegion &region : placement)
            if (region.begin <= part.atom.begin && part.atom.end <= region.end)
                device.push_back(region.device);
    return device;
}

bool PlanWork::measured(const Placement &placement) const {
    const std::vector<size_t> device = assignment(placement);
    if (device.size() != report_.parts.size()) return false;
    for (size_t i = 0; i < device.size(); ++i)
        for (const Cost &cost : report_.parts[i].cost[device[i]])
            if (cost.runs == 0 && !hopeless_[device[i]]) return false;
    return true;
}

std::optional<PlanSolution> PlanWork::on_one_device(const PlanProblem &ample,
                                                    std::span<const size_t> preferred) const {
    const size_t nodes = variants_.front().nodes().size();
    std::optional<PlanSolution> best, incumbent;
    for (size_t d = 0; d < devices(); ++d) {
        const std::vector<size_t> everywhere(report_.parts.size(), d);
        const double cost = plan_cost(ample, everywhere);
        const std::vector<Placement> one(variants_.size(), Placement{{0, nodes, d, ""}});
        if (cost == kRefused ||
            !check_memory(variants_, one, options_.devices, options_.memory).ok())
            continue;
        if (std::ranges::equal(everywhere, preferred)) incumbent = {everywhere, cost, true};
        if (!best || cost < best->cost) best = {everywhere, cost, true};
    }
    if (!best || !incumbent) return best;
    return with_hysteresis(ample, *best, incumbent->device, ModelPlanner::kGain);
}

Result<PlanSolution> PlanWork::solve_all(const Placement &preferred) {
    const PlanProblem all = problem(std::nullopt);
    auto solution = solve_plan(all);
    // What parts share, such as an embedding that is the head too, counts twice above. All on one
    // device is looked at as it is.
    PlanProblem ample = all;
    ample.budget.assign(ample.budget.size(), std::numeric_limits<uint64_t>::max());
    const std::vector<size_t> before = assignment(preferred);
    if (const auto one = on_one_device(ample, before))
        return solution.ok()
                   ? with_hysteresis(ample, *solution, one->device, ModelPlanner::kSplitGain)
                   : *one;
    const std::vector<Placement> same(variants_.size(), preferred);
    if (!solution.ok() || !check_memory(variants_, same, options_.devices, options_.memory).ok())
        return solution;
    return with_hysteresis(ample, *solution, before, ModelPlanner::kGain);
}

void PlanWork::split_variant(size_t variant, const PlanSolution &home) {
    PlanProblem alone = problem(variant);
    std::vector<size_t> now;
    for (const PlanPart &part : report_.parts)
        now.push_back(part.device[variant]);
    // What is taken already is taken; a part costs no memory where it has a home.
    for (size_t i = 0; i < report_.parts.size(); ++i) {
        PlanAtom &atom = alone.atoms[i];
        uint64_t &left = alone.budget[alone.pool[home.device[i]]];
        if (left != std::numeric_limits<uint64_t>::max())
            left -= std::min(left, atom.memory[home.device[i]]);
        atom.memory[home.device[i]] = 0;
        for (const size_t other : report_.parts[i].device) { // copies for earlier variants
            uint64_t &there = alone.budget[alone.pool[other]];
            if (other != home.device[i] && there != std::numeric_limits<uint64_t>::max())
                there -= std::min(there, report_.parts[i].memory[other]);
        }
        for (size_t d = 0; d < devices(); ++d)
            if (report_.parts[i].atom.state && d != home.device[i]) atom.cost[d] = kRefused;
    }
    const auto solution = solve_plan(alone);
    if (!solution.ok()) return;
    const PlanSolution best = with_hysteresis(alone, *solution, now, ModelPlanner::kSplitGain);
    for (size_t i = 0; i < report_.parts.size(); ++i)
        report_.parts[i].device[variant] = best.device[i];
}

void PlanWork::split(const PlanSolution &home) {
    const auto settle = [&] {
        for (size_t i = 0; i < report_.parts.size(); ++i)
            report_.parts[i].device.assign(variants_.size(), home.device[i]);
        predict();
    };
    const auto total = [&] {
        double sum = 0;
        for (size_t s = 0; s < options_.samples.size(); ++s)
            sum += report_.seconds[s] * options_.samples[s].weight;
        return sum;
    };
    settle();
    if (variants_.size() == 1) return;
    const double together = total();
    for (size_t v = 0; v < variants_.size(); ++v)
        split_variant(v, home);
    predict();
    // Each variant is cut where another one changes the device, which it did not count.
    if (total() > together * (1 - ModelPlanner::kSplitGain)) settle();
}

std::string PlanWork::reason(size_t variant, size_t first, size_t last) const {
    const size_t here = report_.parts[first].device[variant];
    std::vector<double> total(devices(), 0);
    double steps = 0;
    for (const StepSample &sample : options_.samples)
        if (sample.variant == variant) steps += sample.weight;
    for (size_t i = first; i <= last; ++i)
        for (size_t d = 0; d < devices(); ++d)
            total[d] += weighed(report_.parts[i], d, variant) / std::max(steps, 1e-9);
    const auto guessed = [&](size_t d) {
        for (size_t i = first; i <= last; ++i)
            for (const Cost &cost : report_.parts[i].cost[d])
                if (cost.runs == 0) return true;
        return false;
    };
    std::string text = milliseconds(total[here]) + " a step";
    size_t best = here;
    for (size_t d = 0; d < devices(); ++d)
        if (total[d] < total[best]) best = d;
    for (size_t d = 0; d < devices(); ++d)
        if (d != here)
            text += ", " +
                    (total[d] == kRefused ? "not possible"
                     : !guessed(d)        ? milliseconds(total[d])
                     : hopeless_[d]       ? "far more"
                                          : "not measured") +
                    " on " + options_.devices[d]->label();
    if (best != here)
        text += "; " + options_.devices[best]->label() +
                " is faster here, but not with its memory and the way there";
    return text;
}

std::vector<Placement> PlanWork::placements() const {
    std::vector<Placement> list(variants_.size());
    for (size_t first = 0; first < report_.parts.size();) {
        size_t last = first; // bounds are the same for all variants
        while (last + 1 < report_.parts.size() &&
               report_.parts[last + 1].device == report_.parts[first].device)
            ++last;
        for (size_t v = 0; v < variants_.size(); ++v)
            list[v].push_back({report_.parts[first].atom.begin, report_.parts[last].atom.end,
                               report_.parts[first].device[v], reason(v, first, last)});
        first = last + 1;
    }
    return list;
}

void PlanWork::predict() {
    report_.seconds.clear();
    report_.single.assign(devices(), {});
    for (size_t s = 0; s < options_.samples.size(); ++s) {
        const StepSample &sample = options_.samples[s];
        const auto crossing = crossing_bytes(variants_[sample.variant], sample.symbols);
        const auto cost = [&](bool cut, auto &&device_of) {
            double sum = 0;
            for (size_t i = 0; i < report_.parts.size(); ++i) {
                const PlanPart &part = report_.parts[i];
                const size_t d = device_of(i);
                if (!part.atom.runs[d]) return kRefused;
                sum += part.cost[d][s].seconds;
                const size_t before = i == 0 ? d : device_of(i - 1);
                // Bounds of regions are the same for all variants.
                const bool here =
                    i > 0 && (cut ? part.device != report_.parts[i - 1].device : before != d);
                if (i == 0 || here) sum += report_.links[d].launch;
                if (here)
                    sum += static_cast<double>(crossing[part.atom.begin]) *
                           (report_.links[before].out + report_.links[d].in);
            }
            return sum;
        };
        report_.seconds.push_back(
            cost(true, [&](size_t i) { return report_.parts[i].device[sample.variant]; }));
        for (size_t d = 0; d < devices(); ++d)
            report_.single[d].push_back(cost(false, [&](size_t) { return d; }));
    }
}

} // namespace realizar
