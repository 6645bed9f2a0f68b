// A program with memory, bindings and recorded launches.
#pragma once

#include "plugins/opencl/program.h"

#include <list>

namespace realizar::opencl {

// Launches for one set of symbol values; submitted as often as these come again.
struct Recording {
    std::vector<int64_t> symbols; // bucketed
    std::vector<Launch> launches;
};

} // namespace realizar::opencl

struct rz_instance {
    explicit rz_instance(rz_program &program);

    void bind(std::span<const rz_binding> bindings);
    // The recording for these values, made now if there is none. The instance must be idle.
    const realizar::opencl::Recording &recording(std::vector<int64_t> &symbols);
    bool is_bound(uint32_t storage) const { return places_[storage].buffer != nullptr; }
    // Bound to a buffer of the caller.
    bool is_external(uint32_t storage) const { return external_[storage]; }
    const realizar::opencl::Place &place(uint32_t storage) const { return places_[storage]; }

    // Inputs that are not bound lie in one buffer, with a copy of it on the host for each step of a
    // submission: the host's bytes change, and one transfer of all that has changed follows. Several
    // steps are brought to the device together; each takes its own when its turn comes. The instance
    // must be idle.
    bool owns_input(uint32_t storage) const;
    void prepare(uint32_t steps); // before the updates
    void update(uint32_t storage, uint32_t step, uint64_t offset, const void *data, uint64_t size);
    void queue_updates(uint32_t steps);
    // Of several steps: the inputs of one, before its launches; an output that becomes an input of the
    // next one, behind them.
    void queue_inputs(uint32_t step);
    void queue_chain(uint32_t from, uint32_t to, uint32_t step, uint64_t size);

    // At least `bytes` of memory that the device writes and the host reads.
    std::byte *readback(uint64_t bytes);

    rz_program &program;
    bool busy = false; // a submission runs; under rz_device::mutex

  private:
    realizar::opencl::Memory inputs_, scratch_, room_, mirror_, readback_;
    realizar::opencl::Memory coming_; // inputs of several steps
    uint32_t steps_ = 1;              // that mirror_ and coming_ have room for
    uint64_t changed_begin_ = UINT64_MAX, changed_end_ = 0; // of inputs_
    std::vector<realizar::opencl::Place> places_;           // by storage
    std::vector<bool> external_;                            // by storage
    std::list<realizar::opencl::Recording> recordings_;     // most recently used first
};

namespace realizar::opencl {
extern const rz_instance_api kInstanceApi;
} // namespace realizar::opencl
