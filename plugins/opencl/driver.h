// The driver: the OpenCL loader and the devices that can be used.
#pragma once

#include "plugins/opencl/cl/physical.h"

struct rz_driver {
    explicit rz_driver(const rz_host &services)
        : host(services), settings(realizar::opencl::read_settings()),
          api(realizar::opencl::load_api()),
          devices(realizar::opencl::find_devices(api, settings, host)) {}

    const rz_host &host;
    const realizar::opencl::Settings settings;
    const realizar::opencl::Api &api;
    const std::vector<realizar::opencl::Physical> devices;
};

namespace realizar::opencl {
extern const rz_driver_api kDriverApi;
} // namespace realizar::opencl
