#include "plugins/cpu/schedule.h"

#include "plugins/cpu/pool.h"
#include "plugins/cpu/support.h"

#include <algorithm>
#include <map>

namespace realizar::cpu {

namespace {

enum class Relation { kNone, kSameTile, kBefore };

// How `later` depends on `earlier` through one pair of accesses.
Relation relation(const Step &earlier, const Access &a, const Step &later, const Access &b) {
    if (!a.write && !b.write) return Relation::kNone;
    if (a.view.disjoint(b.view)) return Relation::kNone;
    const bool chained = a.by_row && b.by_row && earlier.has_rows && later.has_rows &&
                         earlier.rows.same_steps(later.rows) && a.view.aligned(b.view);
    return chained ? Relation::kSameTile : Relation::kBefore;
}

class Scheduler {
  public:
    explicit Scheduler(const std::vector<std::unique_ptr<Step>> &steps) : steps_(steps) {}

    std::vector<Phase> run() {
        for (size_t i = 0; i < steps_.size(); ++i)
            place(i);
        return std::move(phases_);
    }

  private:
    struct Place {
        size_t phase, group;
    };

    void place(size_t i) {
        const Step &step = *steps_[i];
        size_t phase = 0;
        std::vector<Place> mates; // places of steps that this one may follow tile by tile
        for (const Access &b : step.accesses)
            for (const auto &[j, access] : users_[b.view.storage()]) {
                const Relation r = relation(*steps_[j], *access, step, b);
                if (r == Relation::kNone) continue;
                phase = std::max(phase, places_[j].phase + (r == Relation::kBefore ? 1 : 0));
                if (r == Relation::kSameTile) mates.push_back(places_[j]);
            }
        std::erase_if(mates, [&](const Place &p) { return p.phase != phase; });
        places_.push_back(insert(step, phase, mates));
        for (const Access &b : step.accesses)
            users_[b.view.storage()].push_back({i, &b});
    }

    // All mates of a phase become one group: each pair has the same tiles.
    Place insert(const Step &step, size_t phase, const std::vector<Place> &mates) {
        if (phase == phases_.size()) phases_.emplace_back();
        auto &groups = phases_[phase].groups;
        if (mates.empty()) {
            groups.push_back({{&step}});
            return {phase, groups.size() - 1};
        }
        const size_t target = mates.front().group;
        for (const Place &mate : mates)
            if (mate.group != target) merge(phase, mate.group, target);
        groups[target].steps.push_back(&step);
        return {phase, target};
    }

    // Empties `from` into `to`. Steps of both do not depend on each other, else they were one.
    void merge(size_t phase, size_t from, size_t to) {
        auto &groups = phases_[phase].groups;
        auto &target = groups[to].steps, &source = groups[from].steps;
        target.insert(target.end(), source.begin(), source.end());
        source.clear();
        for (Place &p : places_)
            if (p.phase == phase && p.group == from) p.group = to;
    }

    const std::vector<std::unique_ptr<Step>> &steps_;
    std::vector<Phase> phases_;
    std::vector<Place> places_;
    std::map<uint32_t, std::vector<std::pair<size_t, const Access *>>> users_; // of each storage
};

// Below this, sharing does not pay: a join costs about half a microsecond, and data have to move between
// caches.
constexpr uint64_t kForkNanoseconds = 3'000;
// From so much on, more pieces than threads even out what other work on the machine takes away.
constexpr uint64_t kStealNanoseconds = 200'000;

struct Work {
    const Phase *phase;
    const Run *run;
    uint64_t shares;

    // Share `share` of each group: a contiguous part of its tiles, so a thread reads weights in
    // order. Groups with few tiles begin at different shares.
    static void share(void *context, uint64_t share, unsigned worker) {
        const Work &work = *static_cast<const Work *>(context);
        uint64_t turn = share;
        for (const Group &group : work.phase->groups) {
            if (group.steps.empty()) continue;
            const uint64_t tiles = group.steps.front()->tiles(*work.run);
            const uint64_t s = turn++ % work.shares;
            const uint64_t begin = tiles * s / work.shares, end = tiles * (s + 1) / work.shares;
            run_tiles(group, *work.run, begin, end, worker);
        }
    }

    static void run_tiles(const Group &group, const Run &run, uint64_t begin, uint64_t end,
                          unsigned worker) {
        if (group.steps.size() == 1) {
            if (begin < end) group.steps.front()->run(run, begin, end, worker);
            return;
        }
        for (uint64_t tile = begin; tile < end; ++tile)
            for (const Step *step : group.steps)
                step->run(run, tile, tile + 1, worker);
    }
};

} // namespace

std::vector<Phase> make_schedule(const std::vector<std::unique_ptr<Step>> &steps, bool fuse) {
    if (fuse) return Scheduler(steps).run();
    std::vector<Phase> phases;
    for (const auto &step : steps)
        phases.push_back({{Group{{step.get()}}}});
    return phases;
}

namespace {

struct Running {
    const std::vector<Phase> &phases;
    const Run &run;
    uint64_t joins = 0;

    static void lead(void *self, Team &team, unsigned worker) {
        auto &running = *static_cast<Running *>(self);
        for (const Phase &phase : running.phases)
            running.run_phase(phase, team, worker);
    }

    void run_phase(const Phase &phase, Team &team, unsigned worker) {
        uint64_t cost = 0;
        for (const Group &group : phase.groups)
            for (const Step *step : group.steps)
                cost += step->cost(run);
        Work work{&phase, &run, 1};
        if (team.threads() == 1 || cost < kForkNanoseconds) return Work::share(&work, 0, worker);
        const uint64_t wanted = team.threads() * (cost >= kStealNanoseconds ? uint64_t{4} : 1);
        work.shares = std::min(wanted, Team::kMaxPieces);
        ++joins;
        team.run(work.shares, Work::share, &work, worker);
    }
};

} // namespace

void run_schedule(const std::vector<Phase> &phases, const Run &run, Pool &pool,
                  Counters &counters) {
    Running running{phases, run};
    pool.run_team(Running::lead, &running);
    counters.dispatches.fetch_add(phases.size(), std::memory_order_relaxed);
    counters.barriers.fetch_add(running.joins, std::memory_order_relaxed);
}

} // namespace realizar::cpu
