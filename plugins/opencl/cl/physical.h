// The devices of all OpenCL platforms, as far as this backend can use them.
#pragma once

#include "plugins/opencl/cl/failure.h"
#include "plugins/opencl/cl/settings.h"

#include <vector>

namespace realizar::opencl {

enum class Products { own, measured, clblast }; // who makes large products

// What forms of kernels are chosen by: what a device offers beyond OpenCL 1.2, after
// REALIZAR_OPENCL_DISABLE, and its sizes.
struct Features {
    bool dot = false; // cl_khr_integer_dot_product on packed signed bytes
    bool ptx = false; // NVIDIA's assembly, from compute capability 7.0 on: dp4a, shuffles
    bool mma = false; // and from 8.0 on: mma.sync m16n8k16
    Products products = Products::own;
    uint64_t slice_bytes = 0;        // of a matrix in F32 that CLBlast takes at a time
    uint32_t units = 1;              // compute units
    uint32_t local_bytes = 16 << 10; // of local memory for a workgroup
};

struct Physical {
    cl_platform_id platform = nullptr;
    cl_device_id handle = nullptr;
    std::string name, driver; // driver: platform and version
    std::string pci;          // "pci 0000:01:00.0", empty if the driver is silent
    uint32_t kind = RZ_DEVICE_GPU;
    uint8_t uuid[16] = {};
    uint64_t memory = 0, max_allocation = 0;
    Features features;
};

// Real GPUs first, CPUs last. Throws RZ_UNAVAILABLE where there is no device that can be used; the
// message says why.
std::vector<Physical> find_devices(const Api &api, const Settings &settings, const rz_host &host);

} // namespace realizar::opencl
