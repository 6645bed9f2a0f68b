// Features of a physical device: what is required, what is used where it exists.
#include "plugins/vulkan/vk/instance.h"
#include "plugins/vulkan/vk/pipelines.h"

#include <algorithm>
#include <cstring>

namespace realizar::vulkan {

namespace {

// All feature structs in one chain, for asking and for enabling.
struct Chain {
    Chain() {
        core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
        v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
        v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
        dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
        subgroups.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
        core.pNext = &v11;
        v11.pNext = &v12;
        tail = &v12.pNext;
    }
    Chain(const Chain &) = delete;
    Chain &operator=(const Chain &) = delete;

    template <class T>
    void add(T &next) {
        *tail = &next;
        tail = &next.pNext;
    }

    VkPhysicalDeviceFeatures2 core = {};
    VkPhysicalDeviceVulkan11Features v11 = {};
    VkPhysicalDeviceVulkan12Features v12 = {};
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {};
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroups = {};
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, nullptr, VK_FALSE,
        VK_FALSE};
#endif
#ifdef VK_NV_cooperative_matrix2
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat_nv = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
        nullptr,
        VK_FALSE,
        VK_FALSE,
        VK_FALSE,
        VK_FALSE,
        VK_FALSE,
        VK_FALSE,
        VK_FALSE};
#endif
    void **tail;
};

class Extensions {
  public:
    explicit Extensions(VkPhysicalDevice device) {
        uint32_t count = 0;
        vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
        all_.resize(count);
        vkEnumerateDeviceExtensionProperties(device, nullptr, &count, all_.data());
    }
    bool has(const char *name) const {
        return std::any_of(all_.begin(), all_.end(), [&](const auto &extension) {
            return std::strcmp(extension.extensionName, name) == 0;
        });
    }

  private:
    std::vector<VkExtensionProperties> all_;
};

constexpr const char *kDot = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
constexpr const char *kSubgroups = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
constexpr const char *kBudget = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;

bool is_13(const Physical &p) { return p.properties.apiVersion >= VK_API_VERSION_1_3; }

// 16 x 16 x 16 in F16 with F32 sums, by subgroups of 32, and room for two tiles: what the kernels want.
[[maybe_unused]] bool has_coopmat(VkInstance instance, const Physical &physical) {
#ifdef VK_KHR_cooperative_matrix
    constexpr uint32_t kSharedBytes = 48 << 10;
    const VkPhysicalDeviceLimits &limits = physical.properties.limits;
    if (physical.subgroup_size != 32 || limits.maxComputeSharedMemorySize < kSharedBytes ||
        limits.maxComputeWorkGroupInvocations < 256)
        return false;
    const auto list = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
        vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    uint32_t count = 0;
    if (!list || list(physical.handle, &count, nullptr) != VK_SUCCESS) return false;
    VkCooperativeMatrixPropertiesKHR empty = {};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    std::vector<VkCooperativeMatrixPropertiesKHR> shapes(count, empty);
    if (list(physical.handle, &count, shapes.data()) != VK_SUCCESS) return false;
    return std::any_of(shapes.begin(), shapes.end(), [](const auto &shape) {
        return shape.MSize == 16 && shape.NSize == 16 && shape.KSize == 16 &&
               shape.AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
               shape.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
               shape.CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
               shape.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
               shape.scope == VK_SCOPE_SUBGROUP_KHR;
    });
#else
    static_cast<void>(instance);
    static_cast<void>(physical);
    return false;
#endif
}

// Tiles in multiples of 64 by 64 by 16 that belong to workgroups of 128 and of 256, up to 256.
[[maybe_unused]] bool has_coopmat_nv(VkInstance instance, const Physical &physical) {
#ifdef VK_NV_cooperative_matrix2
    VkPhysicalDeviceCooperativeMatrix2PropertiesNV limits = {};
    limits.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV;
    VkPhysicalDeviceProperties2 properties = {};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &limits;
    vkGetPhysicalDeviceProperties2(physical.handle, &properties);
    if (limits.cooperativeMatrixWorkgroupScopeMaxWorkgroupSize < 256 ||
        limits.cooperativeMatrixFlexibleDimensionsMaxDimension < 256)
        return false;
    const auto list =
        reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV>(
            vkGetInstanceProcAddr(
                instance, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV"));
    uint32_t count = 0;
    if (!list || list(physical.handle, &count, nullptr) != VK_SUCCESS) return false;
    VkCooperativeMatrixFlexibleDimensionsPropertiesNV empty = {};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV;
    std::vector<VkCooperativeMatrixFlexibleDimensionsPropertiesNV> shapes(count, empty);
    if (list(physical.handle, &count, shapes.data()) != VK_SUCCESS) return false;
    const auto fits = [&](uint32_t threads) {
        return std::any_of(shapes.begin(), shapes.end(), [&](const auto &shape) {
            return 64 % shape.MGranularity == 0 && 64 % shape.NGranularity == 0 &&
                   16 % shape.KGranularity == 0 && shape.workgroupInvocations == threads &&
                   shape.AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
                   shape.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
                   shape.CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
                   shape.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
                   shape.scope == VK_SCOPE_WORKGROUP_KHR;
        });
    };
    return fits(128) && fits(256);
#else
    static_cast<void>(instance);
    static_cast<void>(physical);
    return false;
#endif
}

void read_features(const Settings &settings, const Extensions &extensions, Chain &chain,
                   Physical &out) {
    const bool dot = is_13(out) || extensions.has(kDot);
    const bool subgroups = is_13(out) || extensions.has(kSubgroups);
    if (dot) chain.add(chain.dot);
    if (subgroups) chain.add(chain.subgroups);
#ifdef VK_KHR_cooperative_matrix
    if (extensions.has(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) chain.add(chain.coopmat);
#endif
#ifdef VK_NV_cooperative_matrix2
    if (extensions.has(VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME)) chain.add(chain.coopmat_nv);
#endif
    vkGetPhysicalDeviceFeatures2(out.handle, &chain.core);
    Features &f = out.features;
    f.fp16 = settings.fp16 && chain.v12.shaderFloat16;
    f.int_dot = settings.int_dot && dot && chain.dot.shaderIntegerDotProduct;
    f.memory_model = chain.v12.vulkanMemoryModel && chain.v12.vulkanMemoryModelDeviceScope;
    f.storage_8bit = chain.v12.storageBuffer8BitAccess;
    f.subgroup_control =
        subgroups && chain.subgroups.subgroupSizeControl && chain.subgroups.computeFullSubgroups;
    f.decode_attention = settings.decode_attention;
    f.qkv = settings.qkv;
    constexpr uint32_t kNvidia = 0x10de;
    f.chain = settings.chain && f.memory_model &&
              (out.properties.vendorID == kNvidia || settings.tuning.chain > 0);
    f.memory_budget = extensions.has(kBudget);
    f.half_plain = settings.tuning.half_plain > 0;
#ifdef VK_KHR_cooperative_matrix
    f.coopmat_khr = settings.coopmat && f.fp16 && f.memory_model &&
                    chain.coopmat.cooperativeMatrix && has_coopmat(volkGetLoadedInstance(), out);
#endif
#ifdef VK_NV_cooperative_matrix2
    const VkPhysicalDeviceCooperativeMatrix2FeaturesNV &nv = chain.coopmat_nv;
    f.coopmat_nv = settings.coopmat_nv && f.coopmat_khr && Pipelines::has("matmul_half_64x64") &&
                   is_13(out) && nv.cooperativeMatrixWorkgroupScope &&
                   nv.cooperativeMatrixFlexibleDimensions && nv.cooperativeMatrixTensorAddressing &&
                   nv.cooperativeMatrixReductions && nv.cooperativeMatrixConversions &&
                   nv.cooperativeMatrixPerElementOperations &&
                   has_coopmat_nv(volkGetLoadedInstance(), out);
#endif
}

// How many cores run workgroups side by side, where the driver says so.
uint32_t count_cores(const Physical &physical, const Extensions &extensions) {
    constexpr uint32_t kUnknown = 132, kOfHost = 4;
    if (physical.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU) return kOfHost;
    if (!extensions.has(VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME)) return kUnknown;
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV cores = {};
    cores.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV;
    VkPhysicalDeviceProperties2 properties = {};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &cores;
    vkGetPhysicalDeviceProperties2(physical.handle, &properties);
    return std::max(cores.shaderSMCount, 1u);
}

void read_properties(Physical &out) {
    VkPhysicalDeviceMaintenance3Properties limits = {};
    limits.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    VkPhysicalDeviceIDProperties ids = {};
    ids.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES;
    ids.pNext = &limits;
    VkPhysicalDeviceSubgroupProperties subgroup = {};
    subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    subgroup.pNext = &ids;
    out.driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    out.driver.pNext = &subgroup;
    VkPhysicalDeviceProperties2 properties = {};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &out.driver;
    vkGetPhysicalDeviceProperties2(out.handle, &properties);
    out.driver.pNext = nullptr;
    out.properties = properties.properties;
    out.subgroup_size = subgroup.subgroupSize;
    out.subgroup_sums = (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
                        (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
    out.subgroup_shuffles = (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) != 0;
    out.max_allocation = limits.maxMemoryAllocationSize;
    std::memcpy(out.uuid, ids.deviceUUID, sizeof(out.uuid));
    vkGetPhysicalDeviceMemoryProperties(out.handle, &out.memory);
}

bool find_queue(Physical &out) {
    uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(out.handle, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vkGetPhysicalDeviceQueueFamilyProperties(out.handle, &count, families.data());
    for (uint32_t i = 0; i < count; ++i)
        if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) {
            out.queue_family = i;
            return true;
        }
    return false;
}

void enable_matrices([[maybe_unused]] const Features &f, [[maybe_unused]] Chain &chain,
                     [[maybe_unused]] std::vector<const char *> &extensions) {
#ifdef VK_KHR_cooperative_matrix
    if (f.coopmat_khr) {
        chain.coopmat.cooperativeMatrix = VK_TRUE;
        chain.add(chain.coopmat);
        extensions.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    }
#endif
#ifdef VK_NV_cooperative_matrix2
    if (f.coopmat_nv) {
        chain.coopmat_nv.cooperativeMatrixWorkgroupScope = VK_TRUE;
        chain.coopmat_nv.cooperativeMatrixFlexibleDimensions = VK_TRUE;
        chain.coopmat_nv.cooperativeMatrixTensorAddressing = VK_TRUE;
        chain.coopmat_nv.cooperativeMatrixReductions = VK_TRUE;
        chain.coopmat_nv.cooperativeMatrixConversions = VK_TRUE;
        chain.coopmat_nv.cooperativeMatrixPerElementOperations = VK_TRUE;
        chain.add(chain.coopmat_nv);
        extensions.push_back(VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME);
    }
#endif
}

} // namespace

uint32_t Physical::device_heap() const {
    uint32_t best = 0;
    uint64_t size = 0;
    for (uint32_t i = 0; i < memory.memoryHeapCount; ++i)
        if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            memory.memoryHeaps[i].size > size) {
            best = i;
            size = memory.memoryHeaps[i].size;
        }
    return best;
}

uint64_t Physical::device_memory() const { return memory.memoryHeaps[device_heap()].size; }

uint64_t Physical::free_memory() const {
    if (!features.memory_budget) return device_memory();
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 now = {};
    now.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    now.pNext = &budget;
    vkGetPhysicalDeviceMemoryProperties2(handle, &now);
    const uint32_t heap = device_heap();
    const uint64_t all = budget.heapBudget[heap], used = budget.heapUsage[heap];
    return std::min(all > used ? all - used : 0, device_memory());
}

bool describe(VkPhysicalDevice handle, const Settings &settings, Physical &out,
              std::string &reason) {
    out.handle = handle;
    vkGetPhysicalDeviceProperties(handle, &out.properties);
    const std::string name = out.properties.deviceName;
    if (out.properties.apiVersion < VK_API_VERSION_1_2) {
        reason = name + " knows Vulkan below 1.2";
        return false;
    }
    read_properties(out);
    Chain chain;
    const Extensions extensions(handle);
    read_features(settings, extensions, chain, out);
    out.cores = count_cores(out, extensions);
    const struct {
        VkBool32 there;
        const char *name;
    } required[] = {{chain.v12.bufferDeviceAddress, "bufferDeviceAddress"},
                    {chain.v12.timelineSemaphore, "timelineSemaphore"},
                    {chain.v11.storageBuffer16BitAccess, "storageBuffer16BitAccess"},
                    {chain.core.features.shaderInt64, "shaderInt64"},
                    {out.subgroup_sums, "arithmetic of subgroups"},
                    {out.subgroup_shuffles, "shuffles of subgroups"}};
    for (const auto &feature : required)
        if (!feature.there) {
            reason = name + " lacks " + feature.name;
            return false;
        }
    if (!find_queue(out)) {
        reason = name + " has no compute queue";
        return false;
    }
    constexpr VkMemoryPropertyFlags kInPlace =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    for (uint32_t i = 0; i < out.memory.memoryTypeCount; ++i)
        if ((out.memory.memoryTypes[i].propertyFlags & kInPlace) == kInPlace)
            out.features.host_memory = settings.host_memory;
    return true;
}

VkDevice create_logical(const Physical &physical, VolkDeviceTable &table) {
    const Features &f = physical.features;
    Chain chain;
    std::vector<const char *> extensions;
    chain.core.features.shaderInt64 = VK_TRUE;
    chain.v11.storageBuffer16BitAccess = VK_TRUE;
    chain.v12.bufferDeviceAddress = VK_TRUE;
    chain.v12.timelineSemaphore = VK_TRUE;
    chain.v12.shaderFloat16 = f.fp16;
    chain.v12.storageBuffer8BitAccess = f.storage_8bit;
    chain.v12.vulkanMemoryModel = f.memory_model;
    chain.v12.vulkanMemoryModelDeviceScope = f.memory_model;
    if (f.int_dot) {
        chain.dot.shaderIntegerDotProduct = VK_TRUE;
        chain.add(chain.dot);
        if (!is_13(physical)) extensions.push_back(kDot);
    }
    if (f.subgroup_control) {
        chain.subgroups.subgroupSizeControl = VK_TRUE;
        chain.subgroups.computeFullSubgroups = VK_TRUE;
        chain.add(chain.subgroups);
        if (!is_13(physical)) extensions.push_back(kSubgroups);
    }
    if (f.memory_budget) extensions.push_back(kBudget);
    enable_matrices(f, chain, extensions);
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {};
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = physical.queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &chain.core;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    VkDevice device = VK_NULL_HANDLE;
    check(vkCreateDevice(physical.handle, &info, nullptr, &device), "vkCreateDevice");
    volkLoadDeviceTable(&table, device);
    return device;
}

} // namespace realizar::vulkan
