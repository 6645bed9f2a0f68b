// A device in use: its context, its one in-order queue, its memory.
#pragma once

#include "plugins/opencl/cl/physical.h"
#include "plugins/opencl/cl/profile.h"
#include "plugins/opencl/clblast/library.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

namespace realizar::opencl {

class Gpu;
class Choices;
class Programs;

// Device memory, or memory of the host that the device can reach fast. Gives itself back.
class Memory {
  public:
    Memory() = default;
    Memory(Memory &&other) noexcept { swap(other); }
    Memory &operator=(Memory &&other) noexcept {
        swap(other);
        return *this;
    }
    ~Memory();

    cl_mem buffer() const { return buffer_; }
    uint64_t size() const { return size_; }
    std::byte *host() const { return host_; } // null unless from Gpu::allocate_host
    explicit operator bool() const { return buffer_ != nullptr; }

  private:
    friend class Gpu;
    void swap(Memory &other) noexcept;

    Gpu *gpu_ = nullptr;
    cl_mem buffer_ = nullptr;
    uint64_t size_ = 0;
    std::byte *host_ = nullptr;
};

// A kernel with all its arguments, or a call of a library that queues some: ready to be queued again and
// again.
struct Launch {
    std::function<void(cl_command_queue, cl_event *)> call; // none: `kernel`
    Kernel kernel;
    size_t global[3] = {1, 1, 1}, local[3] = {1, 1, 1};
    const char *name = "";
};

class Gpu {
  public:
    Gpu(const rz_host &host, const Settings &settings, const Api &api, const Physical &physical);
    ~Gpu();
    Gpu(const Gpu &) = delete;
    Gpu &operator=(const Gpu &) = delete;

    const Api &api() const { return api_; }
    cl_command_queue queue() const { return queue_.get(); }
    cl_context context() const { return context_.get(); }
    const Physical &physical() const { return physical_; }
    const Features &features() const { return physical_.features; }
    const Tuning &tuning() const { return settings_.tuning; }
    // Null where it makes no products.
    const Clblast *clblast() const { return clblast_ ? &clblast_->library() : nullptr; }
    const rz_host &host() const { return host_; }
    Counters &counters() { return counters_; }
    Programs &programs() { return *programs_; }
    Choices &choices() { return *choices_; }
    bool profiles() const { return settings_.profile; }
    Profile &profile() { return profile_; }

    // [any-thread] `size` bytes that hold whatever was there. Throws RZ_OUT_OF_MEMORY.
    Memory allocate(uint64_t size);
    // The same in memory of the host, mapped for good: what transfers are fast with.
    Memory allocate_host(uint64_t size);

    // [any-thread] Blocking copies; all work that was queued before is done then.
    void write(const Memory &to, uint64_t offset, const void *data, uint64_t size);
    void read(const Memory &from, uint64_t offset, void *data, uint64_t size);
    void copy(const Memory &to, uint64_t to_offset, const Memory &from, uint64_t from_offset,
              uint64_t size);
    void zero(const Memory &memory);

    // [any-thread] Queue work and return. Sources must stay as they are until it is done.
    void queue_write(cl_mem to, uint64_t offset, const void *data, uint64_t size);
    Event queue_read(cl_mem from, uint64_t offset, void *data, uint64_t size);
    void queue_copy(cl_mem to, uint64_t to_offset, cl_mem from, uint64_t from_offset,
                    uint64_t size);
    void queue_launch(const Launch &launch);
    // Nanoseconds from the start to the end of these when the device does nothing else; runs them
    // three times.
    uint64_t time(std::span<const Launch> launches);
    // Fires when everything queued so far is done; starts it. `last`: of what was queued last, or none.
    Event queue_end(Event last);
    void finish();

    // Has the event fired? Throws what the device answers when it failed.
    bool done(const Event &event) const;
    // Waits at most about timeout_ns.
    void wait(const Event &event, uint64_t timeout_ns) const;

    // Called once for each submission: throws where a test asked for a failure.
    void count_submission();
    // The next submission fails with this code: for tests of how failures travel.
    void fail_next(rz_code code) { fail_next_ = code; }

  private:
    friend class Memory;
    Memory create(uint64_t size, cl_mem_flags flags);
    void give_back(Memory &memory);
    void enqueue(const Launch &launch, cl_event *event);

    const rz_host &host_;
    const Settings &settings_;
    const Api &api_;
    const Physical &physical_;
    Counters counters_;
    Profile profile_;
    Context context_;
    CommandQueue queue_;
    std::unique_ptr<Programs> programs_;
    std::optional<ClblastUser> clblast_;
    std::unique_ptr<Choices> choices_;
    std::atomic<rz_code> fail_next_{RZ_OK};
    std::atomic<uint64_t> allocations_{0}, submissions_{0};
};

} // namespace realizar::opencl
