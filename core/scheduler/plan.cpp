#include "core/scheduler/plan.h"

#include "core/graph/infer.h"
#include "core/scheduler/memory_need.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace realizar {
namespace {

using Clock = std::chrono::steady_clock;

// Where nothing was measured, operations a second and what links take. Slower than anything is, so that
// such a device gets only what no other one can run or hold.
constexpr double kPlainRate = 1e6, kPlainLaunch = 1e-3, kPlainByte = 1e-8;
// Of the memory that a device says is free, scratch and the driver's own take some.
constexpr uint64_t kSparePercent = 5;
constexpr const char *kReference = "reference:0";

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

Result<PlanSolution> no_comparison() {
    return make_error(Code::unavailable, "not_measured", "the preferred devices were not measured");
}

} // namespace

PlanOptions plan_options(const PlacementOptions &placement, const RunnerOptions &run,
                         std::vector<StepSample> samples) {
    PlanOptions options;
    options.devices = run.devices;
    options.require_first = run.require_first;
    options.by_cost = placement.by_cost;
    options.memory = placement.memory;
    options.samples = std::move(samples);
    options.weights = run.weights;
    options.release = run.release;
    options.store = std::make_shared<CostStore>(placement.costs);
    options.threads = placement.threads;
    options.seconds = placement.seconds;
    options.progress = placement.progress;
    return options;
}

// One place(): the atoms with their costs, as numbers for the planner and back.
struct ModelPlanner::Work {
    const PlanOptions &options;
    PlanReport &report;
    std::span<const Graph> variants;
    const Support &support;

    std::vector<bool> hopeless = std::vector<bool>(options.devices.size(), false);

    size_t devices() const { return options.devices.size(); }
    Status fill(std::vector<Atom> atoms, const Exclusions &exclusions);
    // Costs that one device lacks, after those of another one that has all.
    void estimate_by_others();
    // Of all samples, or of those of one variant.
    PlanProblem problem(std::optional<size_t> variant) const;
    void set_budgets(PlanProblem &problem) const;
    std::vector<size_t> assignment(const Placement &placement) const;
    bool measured(const Placement &placement) const;
    Result<PlanSolution> solve_all(const Placement &preferred);
    void split_variant(size_t variant, const PlanSolution &home);
    std::vector<Placement> placements() const;
    std::string reason(size_t variant, size_t first, size_t last) const;
    void predict();
    double weighed(const PlanPart &part, size_t device, std::optional<size_t> variant) const;
};

Status ModelPlanner::Work::fill(std::vector<Atom> atoms, const Exclusions &exclusions) {
    report.parts.clear();
    report.links.clear();
    std::vector<std::string> identity;
    for (size_t d = 0; d < devices(); ++d) {
        identity.push_back(device_identity(*options.devices[d], options.threads));
        const LinkCost *link = options.store->find_link(identity[d]);
        report.links.push_back(link ? *link : LinkCost{kPlainLaunch, kPlainByte, kPlainByte});
    }
    for (Atom &atom : atoms) {
        PlanPart part;
        for (size_t d = 0; d < devices(); ++d) {
            MemoryNeed need;
            if (atom.runs[d] && !exclusions.lost.contains(d)) {
                RZ_ASSIGN(need, memory_of_part(variants.front(), atom.begin, atom.end,
                                               options.devices[d]));
            }
            part.memory.push_back(need.total());
            std::vector<Cost> costs;
            for (const StepSample &sample : options.samples) {
                const Cost *known = find_cost(*options.store, identity[d], atom, sample);
                costs.push_back(
                    known ? *known : Cost{estimate(variants[sample.variant], atom, sample), 1, 0});
            }
            part.cost.push_back(std::move(costs));
        }
        part.atom = std::move(atom);
        report.parts.push_back(std::move(part));
    }
    return {};
}

void ModelPlanner::Work::estimate_by_others() {
    const auto all_known = [&](size_t d) {
        return std::ranges::all_of(report.parts, [d](const PlanPart &part) {
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
                for (PlanPart &part : report.parts)
                    for (size_t s = 0; s < options.samples.size(); ++s)
                        if (part.atom.runs[d] && part.atom.runs[other])
                            visit(part.cost[d][s], part.cost[other][s], options.samples[s].weight);
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
            hopeless[d] = here > kHopeless * there;
            break;
        }
    }
}

double ModelPlanner::Work::weighed(const PlanPart &part, size_t device,
                                   std::optional<size_t> variant) const {
    if (!part.atom.runs[device]) return kRefused;
    double sum = 0;
    for (size_t s = 0; s < options.samples.size(); ++s)
        if (!variant || options.samples[s].variant == *variant)
            sum += part.cost[device][s].seconds * options.samples[s].weight;
    return sum;
}

void ModelPlanner::Work::set_budgets(PlanProblem &problem) const {
    // One physical device that two plugins see has its memory once.
    for (size_t d = 0; d < devices(); ++d) {
        const auto &uuid = options.devices[d]->info().uuid;
        const bool known = std::ranges::any_of(uuid, [](uint8_t byte) { return byte != 0; });
        size_t pool = d;
        for (size_t e = 0; e < d && known && pool == d; ++e)
            if (std::ranges::equal(uuid, options.devices[e]->info().uuid)) pool = problem.pool[e];
        problem.pool.push_back(pool);
    }
    problem.budget.assign(devices(), std::numeric_limits<uint64_t>::max());
    for (size_t d = 0; d < devices(); ++d) {
        uint64_t limit = memory_limit(options.devices, options.memory, d);
        if (limit == 0) continue;
        const bool given = d < options.memory.size() && options.memory[d] > 0;
        if (!given) limit -= limit / 100 * kSparePercent;
        problem.budget[problem.pool[d]] = std::min(problem.budget[problem.pool[d]], limit);
    }
}

PlanProblem ModelPlanner::Work::problem(std::optional<size_t> variant) const {
    PlanProblem problem;
    const size_t n = devices();
    std::vector<std::vector<uint64_t>> crossing; // by sample and cut
    double steps = 0;
    for (const StepSample &sample : options.samples) {
        crossing.push_back(crossing_bytes(variants[sample.variant], sample.symbols));
        if (!variant || sample.variant == *variant) steps += sample.weight;
    }
    for (size_t d = 0; d < n; ++d)
        problem.entry.push_back(report.links[d].launch * steps);
    set_budgets(problem);
    for (const PlanPart &part : report.parts) {
        PlanAtom atom;
        atom.memory = part.memory;
        atom.group = part.atom.group;
        double bytes = 0; // over all steps
        for (size_t s = 0; s < options.samples.size(); ++s)
            if (!variant || options.samples[s].variant == *variant)
                bytes +=
                    static_cast<double>(crossing[s][part.atom.begin]) * options.samples[s].weight;
        for (size_t d = 0; d < n; ++d)
            atom.cost.push_back(weighed(part, d, variant));
        for (size_t k = 0; !problem.atoms.empty() && k < n * n; ++k)
            atom.boundary.push_back(bytes * (report.links[k / n].out + report.links[k % n].in));
        problem.atoms.push_back(std::move(atom));
    }
    return problem;
}

std::vector<size_t> ModelPlanner::Work::assignment(const Placement &placement) const {
    std::vector<size_t> device;
    for (const PlanPart &part : report.parts)
        for (const PlacedRegion &region : placement)
            if (region.begin <= part.atom.begin && part.atom.end <= region.end)
                device.push_back(region.device);
    return device;
}

bool ModelPlanner::Work::measured(const Placement &placement) const {
    const std::vector<size_t> device = assignment(placement);
    if (device.size() != report.parts.size()) return false;
    for (size_t i = 0; i < device.size(); ++i)
        for (const Cost &cost : report.parts[i].cost[device[i]])
            if (cost.runs == 0 && !hopeless[device[i]]) return false;
    return true;
}

Result<PlanSolution> ModelPlanner::Work::solve_all(const Placement &preferred) {
    const PlanProblem all = problem(std::nullopt);
    auto solution = solve_plan(all);
    // What parts share, such as an embedding that is the head too, counts twice above. All on one
    // device is looked at as it is.
    PlanProblem ample = all;
    ample.budget.assign(ample.budget.size(), std::numeric_limits<uint64_t>::max());
    const size_t nodes = variants.front().nodes().size();
    for (size_t d = 0; d < devices(); ++d) {
        const std::vector<size_t> everywhere(report.parts.size(), d);
        const double cost = plan_cost(ample, everywhere);
        if (cost == kRefused || (solution.ok() && cost >= solution->cost)) continue;
        const std::vector<Placement> one(variants.size(), Placement{{0, nodes, d, ""}});
        if (check_memory(variants, one, options.devices, options.memory).ok())
            solution = PlanSolution{everywhere, cost, true};
    }
    if (!solution.ok()) return solution;
    const std::vector<size_t> before = assignment(preferred);
    const std::vector<Placement> same(variants.size(), preferred);
    if (!check_memory(variants, same, options.devices, options.memory).ok()) return solution;
    return with_hysteresis(ample, *solution, before, kGain);
}

void ModelPlanner::Work::split_variant(size_t variant, const PlanSolution &home) {
    PlanProblem alone = problem(variant);
    std::vector<size_t> now;
    for (const PlanPart &part : report.parts)
        now.push_back(part.device[variant]);
    // What is taken already is taken; a part costs no memory where it has a home.
    for (size_t i = 0; i < report.parts.size(); ++i) {
        PlanAtom &atom = alone.atoms[i];
        uint64_t &left = alone.budget[alone.pool[home.device[i]]];
        if (left != std::numeric_limits<uint64_t>::max())
            left -= std::min(left, atom.memory[home.device[i]]);
        atom.memory[home.device[i]] = 0;
        for (const size_t other : report.parts[i].device) { // copies for earlier variants
            uint64_t &there = alone.budget[alone.pool[other]];
            if (other != home.device[i] && there != std::numeric_limits<uint64_t>::max())
                there -= std::min(there, report.parts[i].memory[other]);
        }
        for (size_t d = 0; d < devices(); ++d)
            if (report.parts[i].atom.state && d != home.device[i]) atom.cost[d] = kRefused;
    }
    const auto solution = solve_plan(alone);
    if (!solution.ok()) return;
    const PlanSolution best = with_hysteresis(alone, *solution, now, kGain);
    for (size_t i = 0; i < report.parts.size(); ++i)
        report.parts[i].device[variant] = best.device[i];
}

std::string ModelPlanner::Work::reason(size_t variant, size_t first, size_t last) const {
    const size_t here = report.parts[first].device[variant];
    std::vector<double> total(devices(), 0);
    double steps = 0;
    for (const StepSample &sample : options.samples)
        if (sample.variant == variant) steps += sample.weight;
    for (size_t i = first; i <= last; ++i)
        for (size_t d = 0; d < devices(); ++d)
            total[d] += weighed(report.parts[i], d, variant) / std::max(steps, 1e-9);
    const auto guessed = [&](size_t d) {
        for (size_t i = first; i <= last; ++i)
            for (const Cost &cost : report.parts[i].cost[d])
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
                     : hopeless[d]        ? "far more"
                                          : "not measured") +
                    " on " + options.devices[d]->label();
    if (best != here)
        text += "; " + options.devices[best]->label() +
                " is faster here, but not with its memory and the way there";
    return text;
}

std::vector<Placement> ModelPlanner::Work::placements() const {
    std::vector<Placement> list(variants.size());
    for (size_t first = 0; first < report.parts.size();) {
        size_t last = first; // bounds are the same for all variants
        while (last + 1 < report.parts.size() &&
               report.parts[last + 1].device == report.parts[first].device)
            ++last;
        for (size_t v = 0; v < variants.size(); ++v)
            list[v].push_back({report.parts[first].atom.begin, report.parts[last].atom.end,
                               report.parts[first].device[v], reason(v, first, last)});
        first = last + 1;
    }
    return list;
}

void ModelPlanner::Work::predict() {
    report.seconds.clear();
    report.single.assign(devices(), {});
    for (size_t s = 0; s < options.samples.size(); ++s) {
        const StepSample &sample = options.samples[s];
        const auto crossing = crossing_bytes(variants[sample.variant], sample.symbols);
        const auto cost = [&](auto &&device_of) {
            double sum = 0;
            for (size_t i = 0; i < report.parts.size(); ++i) {
                const PlanPart &part = report.parts[i];
                const size_t d = device_of(i);
                if (!part.atom.runs[d]) return kRefused;
                sum += part.cost[d][s].seconds;
                const size_t before = i == 0 ? d : device_of(i - 1);
                if (i == 0 || before != d) sum += report.links[d].launch;
                if (before != d)
                    sum += static_cast<double>(crossing[part.atom.begin]) *
                           (report.links[before].out + report.links[d].in);
            }
            return sum;
        };
        report.seconds.push_back(
            cost([&](size_t i) { return report.parts[i].device[sample.variant]; }));
        for (size_t d = 0; d < devices(); ++d)
            report.single[d].push_back(cost([&](size_t) { return d; }));
    }
}

Status ModelPlanner::measure(std::span<const Graph> variants, const Exclusions &exclusions,
                             std::span<const Atom> atoms, bool all) {
    const auto start = Clock::now();
    const size_t count = options_.devices.size();
    MeasureOptions measure;
    measure.variants = variants;
    measure.samples = options_.samples;
    measure.weights = options_.weights;
    measure.release = options_.release;
    uint64_t done = 0;
    measure.go_on = [&] { return !options_.progress || options_.progress(done, count); };
    for (size_t d = 0; d < count; ++d, ++done) {
        const DevicePtr &device = options_.devices[d];
        // The reference is there to be right, at a speed that need not be known.
        if (exclusions.lost.contains(d) || (count > 1 && device->label() == kReference)) continue;
        if (std::ranges::none_of(atoms, [&](const Atom &atom) { return atom.runs[d]; })) continue;
        // An equal share of the time that is left, for each.
        const std::chrono::duration<double> left =
            std::chrono::duration<double>(options_.seconds) - (Clock::now() - start);
        measure.deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                              std::max(left, std::chrono::duration<double>(0)) /
                                              static_cast<double>(count - d));
        const std::string identity = device_identity(*device, options_.threads);
        measure.rivals.clear();
        for (size_t other = 0; other < count && !all; ++other) {
            // Where this one is needed, its costs are.
            const bool can = std::ranges::all_of(
                atoms, [&](const Atom &atom) { return !atom.runs[d] || atom.runs[other]; });
            if (other != d && can && !exclusions.lost.contains(other))
                measure.rivals.push_back(
                    device_identity(*options_.devices[other], options_.threads));
        }
        if (!options_.store->find_link(identity)) {
            const auto link = measure_link(device);
            if (link.ok()) options_.store->put_link(identity, *link);
        }
        std::vector<Atom> mine;
        for (const Atom &atom : atoms)
            if (atom.runs[d]) mine.push_back(atom);
        auto status = measure_atoms(device, identity, mine, measure, *options_.store);
        if (!status.ok() && status.error().code == Code::cancelled) {
            (void)options_.store->save(); // the next time goes on with what is known
            return status;
        }
    }
    report_.measuring += std::chrono::duration<double>(Clock::now() - start).count();
    // A store that cannot be written costs time, not the model.
    if (report_.measuring > 0) (void)options_.store->save();
    return {};
}

Result<std::vector<Placement>> ModelPlanner::place(std::span<const Graph> variants,
                                                   const Exclusions &exclusions) {
    RZ_ASSIGN(const Support support, find_support(variants, options_.devices, exclusions));
    RZ_ASSIGN(
        const Placement preferred,
        place_by_preference(variants.front(), support, options_.devices, options_.require_first));
    const std::vector<Placement> same(variants.size(), preferred);
    report_ = {};
    const auto fits = check_memory(variants, same, options_.devices, options_.memory);
    const size_t alive = options_.devices.size() - exclusions.lost.size();
    if (options_.require_first || alive == 1 || (fits.ok() && !options_.by_cost)) {
        RZ_TRY(fits);
        return same;
    }
    report_.by_cost = true;
    std::vector<Atom> atoms = cut_into_atoms(variants, support);
    // Where the model does not fit, the costs of slow devices count too.
    RZ_TRY(measure(variants, exclusions, atoms, !fits.ok()));
    Work work{options_, report_, variants, support};
    RZ_TRY(work.fill(std::move(atoms), exclusions));
    work.estimate_by_others();
    // Nothing speaks against the preferred placement as long as not all of it was measured.
    const bool unknown = fits.ok() && !work.measured(preferred);
    const auto home = unknown ? no_comparison() : work.solve_all(preferred);
    if (!home.ok()) {
        RZ_TRY(fits); // the sentence that says how much is missing
        const double measuring = report_.measuring;
        report_ = {};
        report_.measuring = measuring;
        return same;
    }
    report_.exact = home->exact;
    for (size_t i = 0; i < report_.parts.size(); ++i)
        report_.parts[i].device.assign(variants.size(), home->device[i]);
    for (size_t v = 0; v < variants.size() && variants.size() > 1; ++v)
        work.split_variant(v, *home);
    work.predict();
    return work.placements();
}

} // namespace realizar
