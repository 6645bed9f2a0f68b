// Where each storage of a program lives inside an instance's memory.
#pragma once

#include "plugins/common/region.h"

#include <span>

namespace realizar::plugin {

// First and last step that touch a storage; storages that no step touches need no memory.
struct Lifetime {
    uint32_t storage;
    size_t first, last;
};

struct ScratchLayout {
    // Bytes from the start; -1: elsewhere. By storage.
    std::vector<int64_t> inputs;  // in memory that the host writes
    std::vector<int64_t> scratch; // in memory of the device: outputs and temporaries
    uint64_t input_bytes = 0, scratch_bytes = 0;
};

// Temporaries share memory when no step uses both; inputs and outputs have their own. Every place is a
// multiple of `alignment`. One lifetime for each storage at most; those that are no TEMP are ignored.
ScratchLayout lay_out(const Region &region, std::span<const Lifetime> lifetimes,
                      uint64_t alignment);

} // namespace realizar::plugin
