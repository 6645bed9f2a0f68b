// A use of the Vulkan instance, and the physical devices that this backend can use.
#pragma once

#include "plugins/vulkan/vk/failure.h"
#include "plugins/vulkan/vk/settings.h"

#include <mutex>
#include <vector>

namespace realizar::vulkan {

// What a device offers beyond what is required of all (physical.cpp), after REALIZAR_VULKAN_DISABLE.
struct Features {
    bool fp16 = false;         // arithmetic
    bool int_dot = false;      // packed 4 x 8 bit
    bool memory_model = false; // Vulkan memory model with device scope
    bool storage_8bit = false;
    bool subgroup_control = false; // a chosen subgroup size with full subgroups
    bool coopmat_khr = false;      // 16 x 16 x 16, F16 with F32 sums, by subgroups of 32
    bool coopmat_nv = false;       // the same by workgroups of 128 and 256, loaded as tensors
    bool decode_attention = false; // shaders/attention_decode.comp
    bool qkv = false;              // shaders/matvec_qkv.comp
    // Kernels of decoding wait for each other without barriers (shaders/include/chain.glsl): on
    // devices that start the workgroups of a queue's dispatches in order.
    bool chain = false;
    bool half_plain = false; // cooperative forms without such matrices, for tests
    bool memory_budget = false;
    bool host_memory = false; // device memory that the host sees in place
};

struct Physical {
    VkPhysicalDevice handle = VK_NULL_HANDLE;
    VkPhysicalDeviceProperties properties = {};
    VkPhysicalDeviceDriverProperties driver = {};
    VkPhysicalDeviceMemoryProperties memory = {};
    uint8_t uuid[16] = {};
    uint64_t max_allocation = 0;
    uint32_t subgroup_size = 0;
    bool subgroup_sums = false;     // subgroupAdd in compute shaders
    bool subgroup_shuffles = false; // subgroupShuffleXor
    uint32_t queue_family = 0;
    uint32_t cores = 1; // that run workgroups side by side; a large number if the driver is silent
    Features features;

    uint64_t device_memory() const; // of the largest device-local heap
    uint32_t device_heap() const;   // its index
    uint64_t free_memory() const;   // of that heap, as far as the driver tells
};

// What the validation layer said.
class Validation {
  public:
    explicit Validation(const rz_host &host) : host_(host) {}
    void add(const char *message);
    // Throws RZ_INTERNAL with the first message that came since the last call.
    void raise_new();

  private:
    const rz_host &host_;
    std::mutex mutex_;
    std::string first_;
};

class Instance {
  public:
    // Throws RZ_UNAVAILABLE where there is no loader, driver or usable device.
    Instance(const rz_host &host, const Settings &settings);
    ~Instance();
    Instance(const Instance &) = delete;
    Instance &operator=(const Instance &) = delete;

    const std::vector<Physical> &devices() const { return devices_; }
    Validation &validation() { return validation_; }

  private:
    void find_devices(const Settings &settings);

    const rz_host &host_;
    Validation validation_;
    VkInstance instance_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    std::vector<Physical> devices_;
};

// Looks at a device. Returns false with the reason when it lacks something that is required.
bool describe(VkPhysicalDevice handle, const Settings &settings, Physical &out,
              std::string &reason);
// The logical device with all features that describe() found, and its function table.
VkDevice create_logical(const Physical &physical, VolkDeviceTable &table);

} // namespace realizar::vulkan
