#include "core/scheduler/plan.h"

#include "core/scheduler/memory_need.h"
#include "core/scheduler/plan_work.h"

#include <algorithm>

namespace realizar {
namespace {

using Clock = std::chrono::steady_clock;

Result<PlanSolution> no_comparison() {
    return make_error(Code::unavailable, "not_measured", "the preferred devices were not measured");
}

// Of the time until `end`: all but what the `others` need at least, or an equal part if that is more.
Clock::duration share(Clock::time_point end, size_t others) {
    constexpr std::chrono::seconds kLeast{3}; // is enough to see that a device is far too slow
    const Clock::duration left = std::max(end - Clock::now(), Clock::duration::zero());
    const auto count = static_cast<Clock::rep>(others);
    return std::max<Clock::duration>(left - count * kLeast, left / (count + 1));
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
    options.decision = placement.decision;
    return options;
}

Status ModelPlanner::measure(std::span<const Graph> variants, const Exclusions &exclusions,
                             std::span<const Atom> atoms, bool all) {
    const auto start = Clock::now();
    const auto end = start + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(options_.seconds));
    const size_t count = options_.devices.size();
    MeasureOptions measure;
    measure.variants = variants;
    measure.samples = options_.samples;
    measure.weights = options_.weights;
    measure.release = options_.release;
    all_measured_ = true;
    std::vector<size_t> wanted;
    for (size_t d = 0; d < count; ++d) {
        if (exclusions.lost.contains(d) ||
            (count > 1 && options_.devices[d]->label() == kReferenceDevice) ||
            std::ranges::none_of(atoms, [&](const Atom &atom) { return atom.runs[d]; }))
            continue;
        wanted.push_back(d);
    }
    uint64_t done = 0;
    measure.go_on = [&] { return !options_.progress || options_.progress(done, wanted.size()); };
    for (const size_t d : wanted) {
        const DevicePtr &device = options_.devices[d];
        measure.deadline = Clock::now() + share(end, wanted.size() - done - 1);
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
        auto all_known = measure_atoms(device, identity, mine, measure, *options_.store);
        if (!all_known.ok() && all_known.error().code == Code::cancelled) {
            (void)options_.store->save(); // the next time goes on with what is known
            return std::move(all_known).error();
        }
        if (all_known.ok()) all_measured_ &= *all_known; // else the device cannot be used
        ++done;
    }
    report_.measuring += std::chrono::duration<double>(Clock::now() - start).count();
    (void)options_.store->save(); // one that cannot be written costs time, not the model
    return {};
}

void ModelPlanner::decide() {
    std::vector<std::string> labels;
    for (size_t d = 0; d < options_.devices.size(); ++d) {
        const auto here = [&](const PlanPart &part) {
            return std::ranges::find(part.device, d) != part.device.end();
        };
        if (std::ranges::any_of(report_.parts, here))
            labels.push_back(options_.devices[d]->label());
    }
    options_.store->decide(options_.decision, std::move(labels));
    (void)options_.store->save();
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
    PlanWork work{options_, report_, variants};
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
    work.split(*home);
    if (!options_.decision.empty() && exclusions.lost.empty() && all_measured_) decide();
    return work.placements();
}

} // namespace realizar
