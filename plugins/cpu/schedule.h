// The order of steps: phases that run one after the other, with a join between them.
#pragma once

#include "plugins/cpu/step.h"
#include "plugins/cpu/support.h"

#include <memory>
#include <vector>

namespace realizar::cpu {

// Steps that run tile by tile: tile t of the first, then tile t of the second, ... More than one
// only for row steps whose tile t needs nothing but tile t of the steps before.
struct Group {
    std::vector<const Step *> steps;
};

// Groups that do not depend on each other.
struct Phase {
    std::vector<Group> groups;
};

// Puts each step into the earliest phase that its operands allow and chains row steps; without
// `fuse` each step is a phase of its own.
std::vector<Phase> make_schedule(const std::vector<std::unique_ptr<Step>> &steps, bool fuse);

// Runs all phases. Small ones stay on the calling thread: waking others costs microseconds.
class Pool;
void run_schedule(const std::vector<Phase> &phases, const Run &run, Pool &pool, Counters &counters);

} // namespace realizar::cpu
