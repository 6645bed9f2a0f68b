#include "plugins/vulkan/vk/failure.h"

#include <cstdarg>
#include <cstdio>

namespace realizar::vulkan {

void raise(rz_code code, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    throw Failure(code, VK_SUCCESS, text);
}

void check(VkResult result, const char *what) {
    if (result == VK_SUCCESS) return;
    const auto text = [&](const char *meaning) {
        return std::string(what) + ": " + meaning + " (VkResult " + std::to_string(result) + ")";
    };
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        throw Failure(RZ_OUT_OF_MEMORY, result, text("the host has no memory left"));
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        throw Failure(RZ_OUT_OF_MEMORY, result, text("the device has no memory left"));
    case VK_ERROR_DEVICE_LOST: throw Failure(RZ_DEVICE_LOST, result, text("the device is lost"));
    default: throw Failure(RZ_INTERNAL, result, text("expected success"));
    }
}

} // namespace realizar::vulkan
