// The driver: the Vulkan instance and the devices that can be used.
#pragma once

#include "plugins/vulkan/vk/instance.h"

struct rz_driver {
    explicit rz_driver(const rz_host &services)
        : host(services), settings(realizar::vulkan::read_settings()), instance(host, settings) {}

    const rz_host &host;
    const realizar::vulkan::Settings settings;
    realizar::vulkan::Instance instance;
};

namespace realizar::vulkan {
extern const rz_driver_api kDriverApi;
} // namespace realizar::vulkan
