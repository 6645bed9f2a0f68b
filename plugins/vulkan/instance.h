// A program with memory, bindings and recorded commands.
#pragma once

#include "plugins/vulkan/program.h"

#include <list>

namespace realizar::vulkan {

constexpr uint64_t kCopyAlignment = 16; // of copies in an instance's readback memory

// A range of an output that goes back to the host.
struct Copy {
    uint32_t tensor;
    uint32_t step;
    uint64_t offset, size;
    bool operator==(const Copy &) const = default;
};

// An input that holds in each step what an output held after the step before.
struct Chain {
    uint32_t from, to;
    bool operator==(const Chain &) const = default;
};

// Commands for one set of symbol values and copies; submitted as often as these come again.
struct Recording {
    std::vector<int64_t> symbols; // bucketed
    uint32_t steps = 1;
    std::vector<Copy> copies;
    std::unique_ptr<Commands> commands;
    std::unique_ptr<Timestamps> times; // null unless Settings::profile
    uint32_t linked = 0;               // of the chain's counter, at the end; 0: no chain
    uint64_t dispatches = 0, barriers = 0;
};

} // namespace realizar::vulkan

struct rz_instance {
    explicit rz_instance(rz_program &program);

    void bind(std::span<const rz_binding> bindings);
    // Room for submissions of so many steps with these chains; before their updates. The instance must
    // be idle.
    void prepare(uint32_t steps, std::span<const realizar::vulkan::Chain> chains);
    // The recording for these values, made now if there is none. The instance must be idle.
    // `copies` land one behind the other in readback(), each aligned to kCopyAlignment.
    const realizar::vulkan::Recording &recording(std::vector<int64_t> symbols, uint32_t steps,
                                                 std::span<const realizar::vulkan::Copy> copies);
    // After a submission with Settings::profile: takes in the times of the recording used last.
    void collect_times() { recordings_.front().times->collect(); }
    // The same: whether its chain gave up, so that the results are void.
    bool gave_up() const;
    std::byte *readback() const { return readback_.host(); }
    // Where the host finds the bytes of `tensor` itself once the device is done; null: not at all.
    const std::byte *in_place(uint32_t tensor) const;
    void update(uint32_t tensor, uint32_t step, uint64_t offset, const void *data, uint64_t size);
    bool is_bound(uint32_t storage) const { return places_[storage].address != 0; }
    bool is_external(uint32_t storage) const { return bound_[storage] != nullptr; }

    rz_program &program;
    bool busy = false; // a submission runs; under rz_device::mutex

  private:
    void place_own();
    void record(realizar::vulkan::Recording &recording);
    uint32_t record_copies(VkCommandBuffer commands, const realizar::vulkan::Recording &recording,
                           uint32_t step) const;
    bool is_chained(uint32_t output) const;
    uint64_t input_block() const; // bytes of the inputs and tables of one step
    // Where things are in one step: each has inputs, tables and chained outputs of its own.
    std::vector<realizar::vulkan::Place> places_of(uint32_t step) const;

    realizar::vulkan::Memory inputs_, scratch_, readback_;
    realizar::vulkan::Memory counter_, counter_read_; // of Recorder; the copy for the host
    realizar::vulkan::Memory slots_;                  // of chained outputs, step by step
    uint64_t slot_bytes_ = 0;                         // of all of one step
    uint32_t steps_ = 1;                              // that there is room for
    std::vector<realizar::vulkan::Chain> chains_;
    std::vector<realizar::vulkan::Place> places_;         // by storage, in the first step
    std::vector<const realizar::vulkan::Memory *> bound_; // by storage; null: not a buffer
    std::vector<uint64_t> bound_offsets_;
    std::list<realizar::vulkan::Recording> recordings_; // most recently used first
    bool tables_filled_ = false;
};

namespace realizar::vulkan {
extern const rz_instance_api kInstanceApi;
} // namespace realizar::vulkan
