// A program with memory, bindings and recorded commands.
#pragma once

#include "plugins/vulkan/program.h"

#include <list>

namespace realizar::vulkan {

constexpr uint64_t kCopyAlignment = 16; // of copies in an instance's readback memory

// A range of an output that goes back to the host.
struct Copy {
    uint32_t tensor;
    uint64_t offset, size;
    bool operator==(const Copy &) const = default;
};

// Commands for one set of symbol values and copies; submitted as often as these come again.
struct Recording {
    std::vector<int64_t> symbols; // bucketed
    std::vector<Copy> copies;
    std::unique_ptr<Commands> commands;
    std::unique_ptr<Timestamps> times; // null unless Settings::profile
    uint64_t dispatches = 0, barriers = 0;
};

} // namespace realizar::vulkan

struct rz_instance {
    explicit rz_instance(rz_program &program);

    void bind(std::span<const rz_binding> bindings);
    // The recording for these values, made now if there is none. The instance must be idle.
    // `copies` land one behind the other in readback(), each aligned to kCopyAlignment.
    const realizar::vulkan::Recording &recording(std::vector<int64_t> symbols,
                                                 std::span<const realizar::vulkan::Copy> copies);
    // After a submission with Settings::profile: takes in the times of the recording used last.
    void collect_times() { recordings_.front().times->collect(); }
    std::byte *readback() const { return readback_.host(); }
    // Where the host finds the bytes of `tensor` itself once the device is done; null: not at all.
    const std::byte *in_place(uint32_t tensor) const;
    void update(uint32_t tensor, uint64_t offset, const void *data, uint64_t size);
    bool is_bound(uint32_t storage) const { return places_[storage].address != 0; }

    rz_program &program;
    bool busy = false; // a submission runs; under rz_device::mutex

  private:
    void place_own();
    void record(realizar::vulkan::Recording &recording);

    realizar::vulkan::Memory inputs_, scratch_, readback_;
    std::vector<realizar::vulkan::Place> places_;         // by storage
    std::vector<const realizar::vulkan::Memory *> bound_; // by storage; null: not a buffer
    std::vector<uint64_t> bound_offsets_;
    std::list<realizar::vulkan::Recording> recordings_; // most recently used first
    bool tables_filled_ = false;
};

namespace realizar::vulkan {
extern const rz_instance_api kInstanceApi;
} // namespace realizar::vulkan
