// Where each storage of a program lives inside an instance.
#pragma once

#include "plugins/cpu/schedule.h"
#include "plugins/cpu/support.h"

namespace realizar::cpu {

struct Layout {
    // Bytes from the start of the instance's memory; -1: elsewhere (weights, states) or unused.
    std::vector<int64_t> offsets; // by storage
    uint64_t bytes = 0;
};

// Inputs and outputs get their own place (a caller may fill or read them between submissions);
// temporaries share memory when no phase uses both.
Layout make_layout(const Region &region, const std::vector<Phase> &phases);

} // namespace realizar::cpu
