// Where the time of submissions goes, kernel by kernel (REALIZAR_VULKAN_PROFILE).
#pragma once

#include "plugins/vulkan/vk/failure.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace realizar::vulkan {

class Gpu;

// Sums over all submissions of a device. A kernel's time runs from the end of the one before it to its
// own end, so waiting at barriers is part of it, and kernels that overlap share theirs.
class Profile {
  public:
    struct Mark {
        std::string label;
        uint64_t bytes; // that the kernel reads, where known
    };

    // [any-thread] `ticks`: the device's clock at the start and after each kernel.
    void add(const std::vector<Mark> &marks, const std::vector<uint64_t> &ticks, double ns_of_tick);
    std::vector<std::string> report() const; // lines

  private:
    struct Sum {
        uint64_t count = 0, bytes = 0;
        double ns = 0;
    };
    mutable std::mutex mutex_;
    std::map<std::string, Sum> sums_;
    uint64_t submissions_ = 0, last_end_ = 0;
};

// The time stamps of one command buffer.
class Timestamps {
  public:
    Timestamps(Gpu &gpu, uint32_t capacity);
    ~Timestamps();
    Timestamps(const Timestamps &) = delete;
    Timestamps &operator=(const Timestamps &) = delete;

    void start(VkCommandBuffer commands);
    // After a kernel. Beyond the capacity nothing is noted.
    void mark(VkCommandBuffer commands, std::string label, uint64_t bytes);
    // When the device has finished: adds to Gpu::profile().
    void collect();

  private:
    Gpu &gpu_;
    uint32_t capacity_;
    VkQueryPool pool_ = VK_NULL_HANDLE;
    std::vector<Profile::Mark> marks_;
    std::vector<uint64_t> ticks_;
};

} // namespace realizar::vulkan
