#include "plugins/opencl/cl/api.h"

#include "plugins/opencl/cl/failure.h"

#include <dlfcn.h>

namespace realizar::opencl {

namespace {

Api open_loader() {
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        raise(RZ_UNAVAILABLE, "no OpenCL loader (libOpenCL.so.1) was found: %s", kInstall);
    Api api;
    const char *missing = nullptr;
#define RZ_CL_LOAD(name)                                                                           \
    api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, #name));                        \
    if (!api.name) missing = #name;
    RZ_CL_FUNCTIONS(RZ_CL_LOAD)
#undef RZ_CL_LOAD
    if (missing)
        raise(RZ_UNAVAILABLE, "the OpenCL loader is older than 1.2, it has no %s: %s", missing,
              kInstall);
    return api;
}

} // namespace

const Api &load_api() {
    static const Api api = open_loader();
    return api;
}

} // namespace realizar::opencl
