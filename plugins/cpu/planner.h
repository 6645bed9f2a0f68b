// Turns the nodes of a region into steps.
#pragma once

#include "plugins/cpu/packed_layout.h"
#include "plugins/cpu/step.h"

#include <map>

namespace realizar::cpu {

class Planner {
  public:
    // Adds scratch tensors to `region`. Without `fuse`, each node gets its own helper steps.
    Planner(Region &region, const Kernels &kernels, const rz_ext_decode *decoders, unsigned threads,
            bool fuse)
        : region_(region), kernels_(kernels), decoders_(decoders), threads_(threads), fuse_(fuse),
          generation_(region.tensors.size()) {}

    const Region &region() const { return region_; }
    const Kernels &kernels() const { return kernels_; }
    const rz_ext_decode *decoders() const { return decoders_; } // of the host; may be null
    unsigned threads() const { return threads_; }

    // Layouts by storage; what lies behind the end is canonical. The vector must outlive the planner.
    void set_packed(const std::vector<const PackedLayout *> &packed) { packed_ = &packed; }
    // nullptr: canonical.
    const PackedLayout *packed(uint32_t tensor) const {
        const uint32_t storage = region_.tensors[tensor].storage;
        return packed_ && storage < packed_->size() ? (*packed_)[storage] : nullptr;
    }

    View view(uint32_t tensor) const { return View(region_, tensor); }

    // A scratch tensor of `bytes` per step, with the steps of `tensor` (all its rows in one step).
    uint32_t scratch_like(uint32_t tensor, int64_t bytes);
    // The same with a fixed number of steps.
    uint32_t scratch(int64_t steps, int64_t bytes);

    // Looks for a step that made the same result from the same version of `tensor` before.
    // Returns its scratch tensor or RZ_NONE. Never finds anything without fusion.
    uint32_t find_shared(const std::string &what, uint32_t tensor) const;
    void share(const std::string &what, uint32_t tensor, uint32_t scratch);

    void add(std::unique_ptr<Step> step);
    std::vector<std::unique_ptr<Step>> take() { return std::move(steps_); }

  private:
    std::string shared_key(const std::string &what, uint32_t tensor) const;

    Region &region_;
    const Kernels &kernels_;
    const rz_ext_decode *decoders_;
    unsigned threads_;
    bool fuse_;
    const std::vector<const PackedLayout *> *packed_ = nullptr;
    std::vector<uint32_t> generation_; // of each storage: writes so far
    std::map<std::string, uint32_t> shared_;
    std::vector<std::unique_ptr<Step>> steps_;
};

} // namespace realizar::cpu
