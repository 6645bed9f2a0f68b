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

// Appends a temporary for the steps of a backend and returns its storage: of so many bytes, or of F32 in the
// shape of a tensor, without gaps.
uint32_t add_storage(Region &region, uint64_t bytes);
uint32_t add_storage_like(Region &region, uint32_t tensor);

// Temporaries share memory when no step uses both; inputs and outputs have their own. Every place is a
// multiple of `alignment`. One lifetime for each storage at most; those that are no TEMP are ignored.
ScratchLayout lay_out(const Region &region, std::span<const Lifetime> lifetimes,
                      uint64_t alignment);

} // namespace realizar::plugin
