// What one step of decoding must read from memory.
#pragma once

#include "bench/workload.h"

#include <cstdint>
#include <vector>

namespace realizar {
class Engine;
}

namespace realizar::bench {

// Counted from the graph of a single token, in the types of the file and of the cache. Of tables only the
// rows that are looked up count, so an embedding counts where it is the output matrix too; of a stack of
// experts those that a token is sent to. What a backend adds to a weight when it packs it does not count.
class StepBytes {
  public:
    explicit StepBytes(const Engine &engine);
    // One token for each of so many sequences, all at `position`. Experts of several sequences are taken
    // to be different ones, as far as there are; windows of attention are taken to reach back to the start.
    uint64_t of(uint32_t sequences, uint32_t position) const;
    // The mean of a workload's decode steps.
    double mean_of(const Workload &work) const;

  private:
    struct Stack {
        uint64_t expert; // bytes
        uint64_t experts, used;
    };

    uint64_t shared_ = 0;        // read once by a step
    uint64_t each_ = 0;          // by each sequence
    uint64_t each_position_ = 0; // and by it for each position that it has
    std::vector<Stack> stacks_;
};

} // namespace realizar::bench
