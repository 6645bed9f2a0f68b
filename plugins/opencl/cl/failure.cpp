#include "plugins/opencl/cl/failure.h"

#include <cstdarg>
#include <cstdio>

namespace realizar::opencl {

void raise(rz_code code, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    throw Failure(code, CL_SUCCESS, text);
}

void check(cl_int result, const char *what) {
    if (result == CL_SUCCESS) return;
    const auto text = [&](const char *meaning) {
        return std::string(what) + ": " + meaning + " (OpenCL error " + std::to_string(result) +
               ")";
    };
    switch (result) {
    case CL_OUT_OF_HOST_MEMORY:
        throw Failure(RZ_OUT_OF_MEMORY, result, text("the host has no memory left"));
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_INVALID_BUFFER_SIZE:
        throw Failure(RZ_OUT_OF_MEMORY, result, text("the device has no memory left"));
    // What drivers say after a fault of a kernel; for an allocation see Gpu::allocate.
    case CL_OUT_OF_RESOURCES:
    case CL_DEVICE_NOT_AVAILABLE:
    case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
        throw Failure(RZ_DEVICE_LOST, result, text("the device is lost"));
    default: throw Failure(RZ_INTERNAL, result, text("expected success"));
    }
}

} // namespace realizar::opencl
