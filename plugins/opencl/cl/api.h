// The OpenCL functions that this backend calls, from a loader that is opened at run time: the plugin
// itself links to nothing of OpenCL.
#pragma once

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

namespace realizar::opencl {

#define RZ_CL_FUNCTIONS(X)                                                                         \
    X(clBuildProgram)                                                                              \
    X(clCreateBuffer)                                                                              \
    X(clCreateCommandQueue)                                                                        \
    X(clCreateContext)                                                                             \
    X(clCreateKernel)                                                                              \
    X(clCreateProgramWithBinary)                                                                   \
    X(clCreateProgramWithSource)                                                                   \
    X(clEnqueueCopyBuffer)                                                                         \
    X(clEnqueueFillBuffer)                                                                         \
    X(clEnqueueMapBuffer)                                                                          \
    X(clEnqueueMarkerWithWaitList)                                                                 \
    X(clEnqueueNDRangeKernel)                                                                      \
    X(clEnqueueReadBuffer)                                                                         \
    X(clEnqueueUnmapMemObject)                                                                     \
    X(clEnqueueWriteBuffer)                                                                        \
    X(clFinish)                                                                                    \
    X(clFlush)                                                                                     \
    X(clGetDeviceIDs)                                                                              \
    X(clGetDeviceInfo)                                                                             \
    X(clGetEventInfo)                                                                              \
    X(clGetEventProfilingInfo)                                                                     \
    X(clGetKernelWorkGroupInfo)                                                                    \
    X(clGetPlatformIDs)                                                                            \
    X(clGetPlatformInfo)                                                                           \
    X(clGetProgramBuildInfo)                                                                       \
    X(clGetProgramInfo)                                                                            \
    X(clReleaseCommandQueue)                                                                       \
    X(clReleaseContext)                                                                            \
    X(clReleaseEvent)                                                                              \
    X(clReleaseKernel)                                                                             \
    X(clReleaseMemObject)                                                                          \
    X(clReleaseProgram)                                                                            \
    X(clSetKernelArg)                                                                              \
    X(clWaitForEvents)

struct Api {
#define RZ_CL_MEMBER(name) decltype(&::name) name = nullptr;
    RZ_CL_FUNCTIONS(RZ_CL_MEMBER)
#undef RZ_CL_MEMBER
};

// The loader's functions, for as long as the process lives: drivers do not survive being unloaded.
// Throws RZ_UNAVAILABLE where there is no loader or it is too old.
const Api &load_api();

// Owns one reference to an OpenCL object. `Release` is a member of Api.
template <class T, auto Release>
class Handle {
  public:
    Handle() = default;
    Handle(const Api &api, T value) : api_(&api), value_(value) {}
    Handle(Handle &&other) noexcept { swap(other); }
    Handle &operator=(Handle &&other) noexcept {
        swap(other);
        return *this;
    }
    ~Handle() {
        if (value_) (api_->*Release)(value_);
    }
    T get() const { return value_; }
    explicit operator bool() const { return value_ != nullptr; }

  private:
    void swap(Handle &other) noexcept {
        const Api *api = api_;
        api_ = other.api_;
        other.api_ = api;
        T value = value_;
        value_ = other.value_;
        other.value_ = value;
    }
    const Api *api_ = nullptr;
    T value_ = nullptr;
};
using Context = Handle<cl_context, &Api::clReleaseContext>;
using CommandQueue = Handle<cl_command_queue, &Api::clReleaseCommandQueue>;
using Event = Handle<cl_event, &Api::clReleaseEvent>;
using Kernel = Handle<cl_kernel, &Api::clReleaseKernel>;
using Program = Handle<cl_program, &Api::clReleaseProgram>;

} // namespace realizar::opencl
