#include "plugins/vulkan/vk/instance.h"

#include <algorithm>
#include <cstring>
#include <mutex>

namespace realizar::vulkan {

namespace {

constexpr const char *kValidation = "VK_LAYER_KHRONOS_validation";
constexpr const char *kInstall =
    "install a driver (Debian, Ubuntu: mesa-vulkan-drivers, or the GPU vendor's) and libvulkan1";

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                          VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT *data,
                                          void *context) {
    if (context) static_cast<Validation *>(context)->add(data->pMessage);
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(Validation *target) {
    VkDebugUtilsMessengerCreateInfoEXT info = {};
    info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    info.pfnUserCallback = on_message;
    info.pUserData = target;
    return info;
}

bool has_layer(const char *name) {
    uint32_t count = 0;
    vkEnumerateInstanceLayerProperties(&count, nullptr);
    std::vector<VkLayerProperties> layers(count);
    vkEnumerateInstanceLayerProperties(&count, layers.data());
    return std::any_of(layers.begin(), layers.end(),
                       [&](const auto &layer) { return std::strcmp(layer.layerName, name) == 0; });
}

// The loader keeps some 150 bytes of every instance that was destroyed, so a process has one of each
// kind for good.
VkInstance shared_instance(const Settings &settings) {
    static std::mutex mutex;
    static VkInstance instances[2];
    const std::lock_guard lock(mutex);
    VkInstance &instance = instances[settings.validate ? 1 : 0];
    if (instance) return instance;
    VkApplicationInfo application = {};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = "realizar";
    application.apiVersion = std::min(volkGetInstanceVersion(), VK_API_VERSION_1_3);
    VkInstanceCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;

    const VkValidationFeatureEnableEXT enabled[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkDebugUtilsMessengerCreateInfoEXT messages = messenger_info(nullptr);
    VkValidationFeaturesEXT validation = {};
    validation.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    validation.pNext = &messages;
    validation.enabledValidationFeatureCount = 1;
    validation.pEnabledValidationFeatures = enabled;
    const char *const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
    if (settings.validate) {
        if (!has_layer(kValidation))
            raise(RZ_UNAVAILABLE,
                  "REALIZAR_VULKAN_VALIDATE=1: %s was not found (Debian, Ubuntu: "
                  "vulkan-validationlayers)",
                  kValidation);
        info.pNext = &validation;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &kValidation;
        info.enabledExtensionCount = 1;
        info.ppEnabledExtensionNames = extensions;
    }
    const VkResult result = vkCreateInstance(&info, nullptr, &instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        raise(RZ_UNAVAILABLE, "the Vulkan loader found no driver: %s", kInstall);
    check(result, "vkCreateInstance");
    return instance;
}

} // namespace

void Validation::add(const char *message) {
    const std::string text = std::string("vulkan validation: ") + message;
    host_.log(host_.self, RZ_LOG_ERROR, text.c_str());
    const std::lock_guard lock(mutex_);
    if (first_.empty()) first_ = text;
}

void Validation::raise_new() {
    const std::lock_guard lock(mutex_);
    if (first_.empty()) return;
    const std::string text = std::move(first_);
    first_.clear();
    raise(RZ_INTERNAL, "%s", text.c_str());
}

Instance::Instance(const rz_host &host, const Settings &settings) : host_(host), validation_(host) {
    if (volkInitialize() != VK_SUCCESS)
        raise(RZ_UNAVAILABLE, "no Vulkan loader (libvulkan.so.1) was found: %s", kInstall);
    if (volkGetInstanceVersion() < VK_API_VERSION_1_2)
        raise(RZ_UNAVAILABLE, "the Vulkan loader is older than 1.2: update libvulkan1");
    instance_ = shared_instance(settings);
    volkLoadInstanceOnly(instance_);
    find_devices(settings);
    if (!settings.validate) return;
    const VkDebugUtilsMessengerCreateInfoEXT messages = messenger_info(&validation_);
    check(vkCreateDebugUtilsMessengerEXT(instance_, &messages, nullptr, &messenger_),
          "vkCreateDebugUtilsMessengerEXT");
}

Instance::~Instance() {
    if (messenger_) vkDestroyDebugUtilsMessengerEXT(instance_, messenger_, nullptr);
}

void Instance::find_devices(const Settings &settings) {
    uint32_t count = 0;
    VkResult result = vkEnumeratePhysicalDevices(instance_, &count, nullptr);
    if (result != VK_SUCCESS && result != VK_ERROR_INITIALIZATION_FAILED)
        check(result, "vkEnumeratePhysicalDevices");
    std::vector<VkPhysicalDevice> handles(count);
    if (count)
        check(vkEnumeratePhysicalDevices(instance_, &count, handles.data()),
              "vkEnumeratePhysicalDevices");
    std::string reasons;
    for (const VkPhysicalDevice handle : handles) {
        Physical device;
        std::string reason;
        if (describe(handle, settings, device, reason)) {
            devices_.push_back(device);
            continue;
        }
        host_.log(host_.self, RZ_LOG_DEBUG, ("vulkan: " + reason).c_str());
        reasons += "; " + reason;
    }
    if (devices_.empty() && handles.empty())
        raise(RZ_UNAVAILABLE, "the Vulkan loader found no device: %s", kInstall);
    if (devices_.empty()) raise(RZ_UNAVAILABLE, "no Vulkan device can be used%s", reasons.c_str());
    // Real GPUs first, software last; otherwise in the loader's order.
    std::stable_sort(devices_.begin(), devices_.end(), [](const Physical &a, const Physical &b) {
        const auto rank = [](const Physical &p) {
            switch (p.properties.deviceType) {
            case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 0;
            case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 1;
            case VK_PHYSICAL_DEVICE_TYPE_CPU: return 3;
            default: return 2;
            }
        };
        return rank(a) < rank(b);
    });
}

} // namespace realizar::vulkan
