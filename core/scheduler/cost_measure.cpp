#include "core/scheduler/cost_measure.h"

#include "core/scheduler/region_meter.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace realizar {
namespace {

using Clock = std::chrono::steady_clock;

// Weights of a run of atoms that is measured as a whole: all of a model that is not very large, or as much
// as half of the device holds. Loading them takes seconds at most, and warms the file for the load that
// follows. A shorter run says less: what it takes is shared by what parts take alone, which on a fast
// device is mostly the launch. Where the memory is not known, the second.
constexpr uint64_t kWindowBytes = uint64_t{5} << 30, kBlindWindowBytes = uint64_t{1} << 30;
// Of further runs, for parts that are not in the first one: more than caches hold.
constexpr uint64_t kCompanyBytes = 256u << 20;
// What a part of those takes in company, as a share of what it takes alone, is between these.
constexpr double kLeastShare = 0.3, kMostShare = 4;
// Parts that take longer together are measured to a few percent alone: what is between them, and what
// a cache still has of the run before, does not count.
constexpr double kLong = 0.4; // seconds
// Below this a part of a run does not sink, however short it was alone.
constexpr double kLeast = 1e-7; // seconds

std::string alone_bucket(const StepSample &sample) { return "alone:" + bucket_of(sample); }

// A run of atoms, by the weights that it needs.
struct Window {
    size_t first, last; // atoms, both included
};

class Measurer {
  public:
    Measurer(const DevicePtr &device, const std::string &identity, std::span<const Atom> atoms,
             const MeasureOptions &options, CostStore &store)
        : device_(device), identity_(identity), atoms_(atoms), options_(options), store_(store) {
        if (const LinkCost *link = store.find_link(identity)) launch_ = link->launch;
        for (const Atom &atom : atoms) {
            bytes_.push_back(
                weight_source_bytes(options.variants.front().extract(atom.begin, atom.end).graph));
            same_.push_back(static_cast<size_t>(
                std::ranges::find(atoms, atom.signature, &Atom::signature) - atoms.begin()));
        }
    }
    // Whether nothing is left to measure.
    Result<bool> measure();

  private:
    const Cost *known(size_t atom, const StepSample &sample) const {
        return store_.find(identity_, atoms_[atom].signature[sample.variant], bucket_of(sample));
    }
    bool complete(size_t atom) const {
        return std::ranges::all_of(options_.samples, [&](const StepSample &sample) {
            return known(atom, sample) != nullptr;
        });
    }
    // Kinds of atoms that a device lacks, those that take most of a step first.
    std::vector<size_t> kinds_by_weight() const;
    bool hopeless() const;
    bool late() const { return Clock::now() > options_.deadline; }
    // Each call measures something, however late it is: so it goes further than the last one.
    bool may_time() { return !std::exchange(timed_, true) || !late(); }
    // Errors other than that the device cannot are passed on.
    Status measure_alone(size_t atom);
    Status measure_window(const Window &window);
    void share(const Window &window, const StepSample &sample, const Cost &together);
    Window window_from(size_t first, uint64_t most) const; // of so many bytes
    std::vector<Window> windows() const;
    size_t same_as(size_t atom) const { return same_[atom]; } // the first with its signatures

    const DevicePtr &device_;
    const std::string &identity_;
    std::span<const Atom> atoms_;
    const MeasureOptions &options_;
    CostStore &store_;
    double launch_ = 0;
    bool timed_ = false;
    std::vector<uint64_t> bytes_;
    std::vector<size_t> same_;
    // What was measured here, before windows: by first atom of a kind and sample.
    std::map<std::pair<size_t, size_t>, Cost> alone_;
};

bool device_cannot(const Error &error) {
    return error.code == Code::unsupported || error.code == Code::out_of_memory;
}

std::vector<size_t> Measurer::kinds_by_weight() const {
    std::map<size_t, uint64_t> bytes; // of all atoms of a kind
    for (size_t i = 0; i < atoms_.size(); ++i)
        bytes[same_as(i)] += bytes_[i] + 1;
    std::vector<size_t> kinds;
    for (const auto &[kind, sum] : bytes)
        kinds.push_back(kind);
    std::ranges::stable_sort(kinds, std::greater<>(), [&](size_t kind) { return bytes[kind]; });
    return kinds;
}

bool Measurer::hopeless() const {
    for (const std::string &rival : options_.rivals) {
        double here = 0, there = 0;
        for (const Atom &atom : atoms_)
            for (const StepSample &sample : options_.samples) {
                const Cost *mine = find_cost(store_, identity_, atom, sample);
                const Cost *theirs = find_cost(store_, rival, atom, sample);
                if (!mine || !theirs) continue;
                here += mine->seconds * sample.weight;
                there += theirs->seconds * sample.weight;
            }
        if (here > kHopeless * there && there > 0) return true;
    }
    return false;
}

Status Measurer::measure_alone(size_t atom) {
    bool all = true; // known by an earlier call
    for (size_t i = 0; i < options_.samples.size(); ++i) {
        const Cost *cost = find_cost(store_, identity_, atoms_[atom], options_.samples[i]);
        if (cost) alone_[{atom, i}] = *cost;
        all &= cost != nullptr;
    }
    if (all) return {};
    auto meter = RegionMeter::create(device_, options_, atoms_[atom].begin, atoms_[atom].end);
    for (size_t s = 0; meter.ok() && s < options_.samples.size(); ++s) {
        const StepSample &sample = options_.samples[s];
        if (alone_.contains({atom, s})) continue;
        if (!may_time()) break;
        auto cost = meter->time(sample);
        if (!cost.ok()) return std::move(cost).error();
        cost->seconds = std::max(cost->seconds - launch_, kLeast);
        alone_[{atom, s}] = *cost;
        store_.put(identity_, atoms_[atom].signature[sample.variant], alone_bucket(sample), *cost);
    }
    return meter.ok() ? Status{} : Status(std::move(meter).error());
}

Window Measurer::window_from(size_t first, uint64_t most) const {
    Window window{first, first};
    uint64_t bytes = bytes_[first];
    const auto fits = [&](size_t k) {
        return alone_.contains({same_as(k), 0}) && bytes + bytes_[k] <= most;
    };
    const auto joined = [&](size_t k) { return atoms_[k].end == atoms_[k + 1].begin; };
    while (window.last + 1 < atoms_.size() && joined(window.last) && fits(window.last + 1))
        bytes += bytes_[++window.last];
    // Backwards, so that the last parts have company too.
    while (window.last + 1 == atoms_.size() && window.first > 0 && joined(window.first - 1) &&
           fits(window.first - 1))
        bytes += bytes_[--window.first];
    return window;
}

std::vector<Window> Measurer::windows() const {
    std::map<size_t, uint64_t> missing; // bytes of all atoms of a kind
    for (size_t i = 0; i < atoms_.size(); ++i)
        if (alone_.contains({same_as(i), 0})) missing[same_as(i)] += bytes_[i] + 1;
    const rz_device_info &info = device_->info();
    const uint64_t memory = info.memory_free > 0 ? info.memory_free : info.memory_total;
    const uint64_t longest = memory > 0 ? std::min(kWindowBytes, memory / 2) : kBlindWindowBytes;
    std::vector<Window> list;
    while (!missing.empty()) {
        // The run that has most of what is missing.
        Window best{0, 0};
        uint64_t most = 0;
        for (size_t i = 0; i < atoms_.size(); ++i) {
            if (!alone_.contains({same_as(i), 0})) continue;
            const Window window = window_from(i, list.empty() ? longest : kCompanyBytes);
            std::set<size_t> kinds;
            uint64_t sum = 0;
            for (size_t k = window.first; k <= window.last; ++k)
                if (const auto found = missing.find(same_as(k));
                    found != missing.end() && kinds.insert(found->first).second)
                    sum += found->second;
            if (sum > most) best = window;
            most = std::max(most, sum);
        }
        for (size_t k = best.first; k <= best.last; ++k)
            missing.erase(same_as(k));
        if (best.first != best.last) list.push_back(best);
    }
    return list;
}

void Measurer::share(const Window &window, const StepSample &sample, const Cost &together) {
    const auto s = static_cast<size_t>(&sample - options_.samples.data());
    double before = 0, rest = 0; // of parts whose cost in company is known, and of others alone
    std::set<size_t> fresh;
    for (size_t i = window.first; i <= window.last; ++i) {
        if (const Cost *cost = known(i, sample)) {
            before += cost->seconds;
        } else {
            rest += alone_.at({same_as(i), s}).seconds;
            fresh.insert(same_as(i));
        }
    }
    double factor = (together.seconds - launch_ - before) / rest;
    // A small remainder of something large is not well known.
    factor = before > 0 ? std::clamp(factor, kLeastShare, kMostShare)
                        : std::max(factor, kLeast * static_cast<double>(bytes_.size()) / rest);
    for (const size_t i : fresh) {
        Cost cost = alone_.at({i, s});
        cost.seconds *= factor;
        cost.spread = std::hypot(cost.spread, together.spread);
        store_.put(identity_, atoms_[i].signature[sample.variant], bucket_of(sample), cost);
    }
}

Status Measurer::measure_window(const Window &window) {
    auto meter =
        RegionMeter::create(device_, options_, atoms_[window.first].begin, atoms_[window.last].end);
    if (!meter.ok())
        return device_cannot(meter.error()) ? Status{} : Status(std::move(meter).error());
    for (size_t s = 0; s < options_.samples.size(); ++s) {
        const StepSample &sample = options_.samples[s];
        bool all = true, done = true;
        double sum = 0;
        for (size_t i = window.first; i <= window.last; ++i) {
            const auto found = alone_.find({same_as(i), s});
            all &= found != alone_.end();
            sum += all ? found->second.seconds : 0;
            done &= known(i, sample) != nullptr;
        }
        if (!all || done || sum > kLong) continue;
        if (!may_time()) return {};
        auto cost = meter->time(sample);
        if (!cost.ok())
            return device_cannot(cost.error()) ? Status{} : Status(std::move(cost).error());
        share(window, sample, *cost);
    }
    return {};
}

Result<bool> Measurer::measure() {
    bool all_known = true;
    for (size_t i = 0; i < atoms_.size(); ++i)
        all_known &= complete(i);
    if (all_known) return true;
    for (const size_t kind : kinds_by_weight()) {
        if (options_.go_on && !options_.go_on())
            return make_error(Code::cancelled, "cancelled", "measuring was cancelled");
        if (hopeless()) return true;
        if (late()) return false;
        if (auto status = measure_alone(kind); !status.ok() && !device_cannot(status.error()))
            return std::move(status).error();
    }
    for (const Window &window : windows()) {
        if (options_.go_on && !options_.go_on())
            return make_error(Code::cancelled, "cancelled", "measuring was cancelled");
        if (hopeless()) return true;
        if (late() && timed_) return false;
        RZ_TRY(measure_window(window));
    }
    if (late() && timed_) return false;
    // Those that have no company, or take so long that it does not matter.
    for (const auto &[key, cost] : alone_)
        if (const StepSample &sample = options_.samples[key.second]; !known(key.first, sample))
            store_.put(identity_, atoms_[key.first].signature[sample.variant], bucket_of(sample),
                       cost);
    return true;
}

} // namespace

std::string bucket_of(const StepSample &sample) {
    std::string text;
    for (const int64_t symbol : sample.symbols)
        text += (text.empty() ? "" : ",") + std::to_string(symbol);
    return text;
}

const Cost *find_cost(const CostStore &store, const std::string &identity, const Atom &atom,
                      const StepSample &sample) {
    const uint64_t signature = atom.signature[sample.variant];
    const Cost *company = store.find(identity, signature, bucket_of(sample));
    return company ? company : store.find(identity, signature, alone_bucket(sample));
}

Result<bool> measure_atoms(const DevicePtr &device, const std::string &identity,
                           std::span<const Atom> atoms, const MeasureOptions &options,
                           CostStore &store) {
    return Measurer(device, identity, atoms, options, store).measure();
}

} // namespace realizar
