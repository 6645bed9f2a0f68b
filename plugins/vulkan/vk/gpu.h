// A logical device: memory, pipelines, its one queue.
#pragma once

#include "plugins/vulkan/vk/instance.h"
#include "plugins/vulkan/vk/memory.h"
#include "plugins/vulkan/vk/pipelines.h"
#include "plugins/vulkan/vk/profile.h"

#include <functional>
#include <mutex>
#include <optional>

namespace realizar::vulkan {

// A command buffer with its own pool. Used by one thread at a time.
class Commands {
  public:
    explicit Commands(Gpu &gpu);
    ~Commands();
    Commands(const Commands &) = delete;
    Commands &operator=(const Commands &) = delete;

    // Starts over, after the device has finished with what was recorded.
    void begin();
    void end();
    VkCommandBuffer handle() const { return buffer_; }

  private:
    Gpu &gpu_;
    VkCommandPool pool_ = VK_NULL_HANDLE;
    VkCommandBuffer buffer_ = VK_NULL_HANDLE;
};

// A rising counter that the device sets when the work of a submission is done.
class Progress {
  public:
    explicit Progress(Gpu &gpu);
    ~Progress();
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;

    uint64_t reached() const;
    // Sleeps for most of the time that the last wait took if that was long, spins for a little, then
    // sleeps. False after timeout_ns.
    bool wait(uint64_t value, uint64_t timeout_ns) const;
    VkSemaphore handle() const { return semaphore_; }

  private:
    bool sleep(uint64_t value, uint64_t timeout_ns) const;
    bool spin(uint64_t value, uint64_t timeout_ns) const;

    Gpu &gpu_;
    mutable std::atomic<uint64_t> usual_ns_{0};
    VkSemaphore semaphore_ = VK_NULL_HANDLE;
};

// Left in a chain's counter by a workgroup that gave up (shaders/include/chain.glsl).
constexpr uint32_t kChainGaveUp = 0x80000000u;

class Gpu {
  public:
    Gpu(const rz_host &host, const Settings &settings, Validation &validation,
        const Physical &physical);
    ~Gpu();
    Gpu(const Gpu &) = delete;
    Gpu &operator=(const Gpu &) = delete;

    VkDevice handle() const { return device_; }
    const VolkDeviceTable &vk() const { return table_; }
    const Physical &physical() const { return physical_; }
    const Features &features() const { return physical_.features; }
    const Settings &settings() const { return settings_; }
    const rz_host &host() const { return host_; }
    Counters &counters() { return counters_; }
    Allocator &memory() { return *memory_; }
    Pipelines &pipelines() { return *pipelines_; }
    Profile &profile() { return profile_; }

    // [any-thread] Hands a recorded command buffer to the device; `progress` reaches `value` at its
    // end. Work runs in the order of these calls; each command buffer starts with a full barrier
    // (full_barrier).
    void submit(const Commands &commands, const Progress &progress, uint64_t value);
    // [any-thread] Records, runs and waits: for buffer copies and loading.
    void run(const std::function<void(VkCommandBuffer)> &record);
    // Everything before is finished and visible to everything after, host included.
    void full_barrier(VkCommandBuffer commands) const;

    // [any-thread] Blocking copies, through staging memory where the host cannot see the bytes.
    void write(const Memory &to, uint64_t offset, const void *data, uint64_t size);
    void read(const Memory &from, uint64_t offset, void *data, uint64_t size);
    void copy(const Memory &to, uint64_t to_offset, const Memory &from, uint64_t from_offset,
              uint64_t size);
    void zero(const Memory &memory);
    // [any-thread] memcpy by the host's threads where that pays.
    void copy_by_threads(void *to, const void *from, uint64_t size) const;

    // Whether recordings may have chains; stop_chains after one has given up.
    bool chains() const { return chains_; }
    void stop_chains();
    // What the counter of the next recording starts with: zero, unless it shall give up (Settings).
    uint32_t chain_start();

    // The next submission fails with this code: for tests of how failures travel.
    void fail_next(rz_code code) { fail_next_ = code; }

  private:
    void release();

    const rz_host &host_;
    const Settings &settings_;
    Validation &validation_;
    const Physical &physical_;
    Counters counters_;
    Profile profile_;
    VkDevice device_ = VK_NULL_HANDLE;
    VolkDeviceTable table_ = {};
    VkQueue queue_ = VK_NULL_HANDLE;
    std::mutex queue_mutex_;
    uint64_t submissions_ = 0;
    std::atomic<bool> chains_;
    std::atomic<uint64_t> chain_starts_{0};
    std::atomic<rz_code> fail_next_{RZ_OK};
    std::unique_ptr<Allocator> memory_;
    std::unique_ptr<Pipelines> pipelines_;

    // Blocking work, one piece at a time.
    std::mutex run_mutex_;
    std::unique_ptr<Commands> run_commands_;
    std::unique_ptr<Progress> run_progress_;
    uint64_t run_value_ = 0;
    Memory bounce_; // staging of write and read
    std::mutex bounce_mutex_;
};

} // namespace realizar::vulkan
