#include "plugins/opencl/cl/physical.h"

#include "plugins/opencl/clblast/library.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <sstream>

namespace realizar::opencl {

namespace {

// Of extensions, by their numbers: older headers do not have them.
constexpr cl_device_info kUuidKhr = 0x106a, kPciKhr = 0x410f;
constexpr cl_device_info kCapabilityMajorNv = 0x4000, kPciBusNv = 0x4008, kPciSlotNv = 0x4009,
                         kPciDomainNv = 0x400a;
constexpr cl_device_info kDotCapabilities = 0x1073;
constexpr cl_bitfield kDotPacked = 1;
constexpr cl_int kNoPlatform = -1001; // of the loader: CL_PLATFORM_NOT_FOUND_KHR

constexpr size_t kGroup = 256;        // threads of a workgroup that the kernels want
constexpr cl_ulong kLocal = 16 << 10; // bytes of local memory

template <class T>
T number(const Api &api, cl_device_id device, cl_device_info what, T otherwise = {}) {
    T value = {};
    const cl_int result = api.clGetDeviceInfo(device, what, sizeof(value), &value, nullptr);
    return result == CL_SUCCESS ? value : otherwise;
}

template <class Get>
std::string text(Get get) {
    size_t size = 0;
    if (get(size_t{0}, static_cast<char *>(nullptr), &size) != CL_SUCCESS || size == 0) return {};
    std::string value(size, '\0');
    if (get(size, value.data(), nullptr) != CL_SUCCESS) return {};
    value.resize(std::strlen(value.c_str()));
    return value;
}

std::string text(const Api &api, cl_device_id device, cl_device_info what) {
    return text([&](size_t size, char *out, size_t *needed) {
        return api.clGetDeviceInfo(device, what, size, out, needed);
    });
}

std::string text(const Api &api, cl_platform_id platform, cl_platform_info what) {
    return text([&](size_t size, char *out, size_t *needed) {
        return api.clGetPlatformInfo(platform, what, size, out, needed);
    });
}

bool has(const std::string &extensions, const char *name) {
    std::istringstream words(extensions);
    for (std::string word; words >> word;)
        if (word == name) return true;
    return false;
}

uint32_t kind_of(cl_device_type type, bool unified) {
    if (type & CL_DEVICE_TYPE_CPU) return RZ_DEVICE_CPU;
    if (type & CL_DEVICE_TYPE_ACCELERATOR) return RZ_DEVICE_ACCELERATOR;
    return unified ? RZ_DEVICE_INTEGRATED_GPU : RZ_DEVICE_GPU;
}

std::string pci_of(const Api &api, cl_device_id device, const std::string &extensions) {
    struct Address {
        cl_uint domain, bus, device, function;
    } at = {};
    if (has(extensions, "cl_khr_pci_bus_info")) {
        at = number<Address>(api, device, kPciKhr);
    } else if (has(extensions, "cl_nv_device_attribute_query")) {
        const auto slot = number<cl_uint>(api, device, kPciSlotNv);
        at = {number<cl_uint>(api, device, kPciDomainNv), number<cl_uint>(api, device, kPciBusNv),
              slot >> 3, slot & 7};
    } else {
        return {};
    }
    char out[64];
    std::snprintf(out, sizeof(out), "pci %04x:%02x:%02x.%x", at.domain, at.bus, at.device,
                  at.function);
    return out;
}

Features features_of(const Api &api, cl_device_id device, const std::string &extensions,
                     const Settings &settings) {
    Features f;
    f.dot = settings.dot && has(extensions, "cl_khr_integer_dot_product") &&
            (number<cl_bitfield>(api, device, kDotCapabilities) & kDotPacked) != 0;
    const bool nvidia = settings.ptx && has(extensions, "cl_nv_device_attribute_query");
    const auto capability = nvidia ? number<cl_uint>(api, device, kCapabilityMajorNv) : 0;
    f.ptx = capability >= 7;
    f.units = std::max(1u, number<cl_uint>(api, device, CL_DEVICE_MAX_COMPUTE_UNITS));
    f.local_bytes = static_cast<uint32_t>(std::min<cl_ulong>(
        number<cl_ulong>(api, device, CL_DEVICE_LOCAL_MEM_SIZE, kLocal), 1 << 30));
    f.mma = settings.mma && capability >= 8;
    return f;
}

Products products_of(const Api &api, const Settings &settings, uint32_t kind) {
    UseClblast use = settings.clblast;
    if (use == UseClblast::by_device)
        use = kind == RZ_DEVICE_CPU ? UseClblast::never : UseClblast::measured;
    if (use == UseClblast::never || !find_clblast(api).library) return Products::own;
    return use == UseClblast::always ? Products::clblast : Products::measured;
}

// More keeps a large device busy, a small one has less to spare.
uint64_t slice_bytes(uint64_t memory, const Tuning &tuning) {
    constexpr uint64_t kMega = uint64_t{1} << 20;
    return tuning.clblast_slice ? tuning.clblast_slice * kMega
                                : std::clamp(memory / 512, 16 * kMega, 256 * kMega);
}

// False with the reason when the device lacks something that the plain kernels need.
bool usable(const Api &api, cl_device_id device, const std::string &name, std::string &reason) {
    if (!number<cl_bool>(api, device, CL_DEVICE_AVAILABLE))
        reason = name + " is not available";
    else if (!number<cl_bool>(api, device, CL_DEVICE_COMPILER_AVAILABLE))
        reason = name + " has no compiler";
    else if (!number<cl_bool>(api, device, CL_DEVICE_ENDIAN_LITTLE))
        reason = name + " is not little-endian";
    else if (text(api, device, CL_DEVICE_VERSION).compare(0, 10, "OpenCL 1.2") < 0)
        reason = name + " is older than OpenCL 1.2";
    else if (number<size_t>(api, device, CL_DEVICE_MAX_WORK_GROUP_SIZE) < kGroup)
        reason = name + " runs fewer than 256 threads in a workgroup";
    else if (number<cl_ulong>(api, device, CL_DEVICE_LOCAL_MEM_SIZE) < kLocal)
        reason = name + " has less than 16 KiB of local memory";
    return reason.empty();
}

Physical describe(const Api &api, cl_platform_id platform, cl_device_id device,
                  const Settings &settings) {
    Physical p;
    p.platform = platform;
    p.handle = device;
    p.name = text(api, device, CL_DEVICE_NAME);
    p.driver = text(api, platform, CL_PLATFORM_NAME) + " " + text(api, device, CL_DRIVER_VERSION) +
               ", " + text(api, device, CL_DEVICE_VERSION).substr(0, 10);
    const std::string extensions = text(api, device, CL_DEVICE_EXTENSIONS);
    p.pci = pci_of(api, device, extensions);
    p.kind = kind_of(number<cl_device_type>(api, device, CL_DEVICE_TYPE),
                     number<cl_bool>(api, device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0);
    if (has(extensions, "cl_khr_device_uuid"))
        api.clGetDeviceInfo(device, kUuidKhr, sizeof(p.uuid), p.uuid, nullptr);
    p.memory = number<cl_ulong>(api, device, CL_DEVICE_GLOBAL_MEM_SIZE);
    p.max_allocation =
        std::min(p.memory, number<cl_ulong>(api, device, CL_DEVICE_MAX_MEM_ALLOC_SIZE));
    p.features = features_of(api, device, extensions, settings);
    p.features.products = products_of(api, settings, p.kind);
    p.features.slice_bytes = slice_bytes(p.memory, settings.tuning);
    return p;
}

std::vector<cl_platform_id> platforms_of(const Api &api) {
    cl_uint count = 0;
    const cl_int result = api.clGetPlatformIDs(0, nullptr, &count);
    if (result != kNoPlatform) check(result, "clGetPlatformIDs");
    if (result == kNoPlatform || count == 0)
        raise(RZ_UNAVAILABLE, "the OpenCL loader found no driver: %s", kInstall);
    std::vector<cl_platform_id> platforms(count);
    check(api.clGetPlatformIDs(count, platforms.data(), nullptr), "clGetPlatformIDs");
    return platforms;
}

} // namespace

std::vector<Physical> find_devices(const Api &api, const Settings &settings, const rz_host &host) {
    std::vector<Physical> found;
    std::string reasons;
    if (settings.clblast != UseClblast::never && !find_clblast(api).library)
        host.log(host.self, RZ_LOG_INFO, ("opencl: " + find_clblast(api).reason).c_str());
    for (const cl_platform_id platform : platforms_of(api)) {
        cl_uint count = 0;
        // A platform without devices answers with an error.
        if (api.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count) != CL_SUCCESS)
            continue;
        std::vector<cl_device_id> devices(count);
        check(api.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, devices.data(), nullptr),
              "clGetDeviceIDs");
        for (const cl_device_id device : devices) {
            std::string reason;
            if (usable(api, device, text(api, device, CL_DEVICE_NAME), reason)) {
                found.push_back(describe(api, platform, device, settings));
                continue;
            }
            host.log(host.self, RZ_LOG_DEBUG, ("opencl: " + reason).c_str());
            reasons += "; " + reason;
        }
    }
    if (found.empty() && reasons.empty())
        raise(RZ_UNAVAILABLE, "no OpenCL driver has a device: %s", kInstall);
    if (found.empty()) raise(RZ_UNAVAILABLE, "no OpenCL device can be used%s", reasons.c_str());
    std::stable_sort(found.begin(), found.end(), [](const Physical &a, const Physical &b) {
        const auto rank = [](const Physical &p) {
            switch (p.kind) {
            case RZ_DEVICE_GPU: return 0;
            case RZ_DEVICE_INTEGRATED_GPU: return 1;
            case RZ_DEVICE_CPU: return 3;
            default: return 2;
            }
        };
        return rank(a) < rank(b);
    });
    return found;
}

} // namespace realizar::opencl
