#include "plugins/opencl/cl/gpu.h"

#include "plugins/opencl/cl/programs.h"
#include "plugins/opencl/clblast/choices.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace realizar::opencl {

Memory::~Memory() {
    if (buffer_) gpu_->give_back(*this);
}

void Memory::swap(Memory &other) noexcept {
    std::swap(gpu_, other.gpu_);
    std::swap(buffer_, other.buffer_);
    std::swap(size_, other.size_);
    std::swap(host_, other.host_);
}

Gpu::Gpu(const rz_host &host, const Settings &settings, const Api &api, const Physical &physical)
    : host_(host), settings_(settings), api_(api), physical_(physical) {
    const cl_context_properties properties[] = {
        CL_CONTEXT_PLATFORM, reinterpret_cast<cl_context_properties>(physical.platform), 0};
    cl_int result = CL_SUCCESS;
    context_ = Context(
        api, api.clCreateContext(properties, 1, &physical.handle, nullptr, nullptr, &result));
    check(result, "clCreateContext");
    const cl_command_queue_properties kinds = settings.profile ? CL_QUEUE_PROFILING_ENABLE : 0;
    queue_ = CommandQueue(
        api, api.clCreateCommandQueue(context_.get(), physical.handle, kinds, &result));
    check(result, "clCreateCommandQueue");
    programs_ = std::make_unique<Programs>(*this);
    if (features().products != Products::own) clblast_.emplace(*find_clblast(api).library);
    choices_ = std::make_unique<Choices>(*this);
}

Gpu::~Gpu() {
    if (!settings_.profile) return;
    for (const std::string &line : profile_.report())
        host_.log(host_.self, RZ_LOG_WARNING, line.c_str());
}

Memory Gpu::create(uint64_t size, cl_mem_flags flags) {
    if (++allocations_ == settings_.fail_allocation)
        raise(RZ_OUT_OF_MEMORY, "allocation %llu failed on purpose (REALIZAR_OPENCL_FAIL)",
              wide(allocations_));
    size = align_up(std::max<uint64_t>(size, 1), 16); // kernels load 16 bytes at a time
    if (size > physical_.max_allocation)
        raise(RZ_OUT_OF_MEMORY, "expected at most %llu bytes in one allocation, found %llu",
              wide(physical_.max_allocation), wide(size));
    if (size > physical_.memory - std::min(physical_.memory, counters_.memory_used.load()))
        raise(RZ_OUT_OF_MEMORY, "the device has %llu bytes, %llu are in use, %llu were asked for",
              wide(physical_.memory), wide(counters_.memory_used), wide(size));
    cl_int result = CL_SUCCESS;
    Memory memory;
    memory.buffer_ = api_.clCreateBuffer(context_.get(), flags, size, nullptr, &result);
    if (result == CL_OUT_OF_RESOURCES) result = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    check(result, "clCreateBuffer");
    memory.gpu_ = this;
    memory.size_ = size;
    ++counters_.allocations;
    const uint64_t used = counters_.memory_used += size;
    uint64_t peak = counters_.memory_peak;
    while (used > peak && !counters_.memory_peak.compare_exchange_weak(peak, used)) {
    }
    return memory;
}

void Gpu::give_back(Memory &memory) {
    if (memory.host_) {
        api_.clEnqueueUnmapMemObject(queue_.get(), memory.buffer_, memory.host_, 0, nullptr,
                                     nullptr);
        api_.clFinish(queue_.get());
    }
    api_.clReleaseMemObject(memory.buffer_);
    counters_.memory_used -= memory.size_;
}

Memory Gpu::allocate(uint64_t size) {
    Memory memory = create(size, CL_MEM_READ_WRITE);
    // Drivers that allocate at the first use would fail inside a submission: use it now.
    const cl_uint zero = 0;
    cl_int result = api_.clEnqueueFillBuffer(queue_.get(), memory.buffer(), &zero, sizeof(zero), 0,
                                             sizeof(zero), 0, nullptr, nullptr);
    if (result == CL_SUCCESS && size > (uint64_t{1} << 20)) result = api_.clFinish(queue_.get());
    if (result == CL_OUT_OF_RESOURCES) result = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    check(result, "clEnqueueFillBuffer");
    return memory;
}

Memory Gpu::allocate_host(uint64_t size) {
    Memory memory = create(size, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR);
    cl_int result = CL_SUCCESS;
    memory.host_ = static_cast<std::byte *>(
        api_.clEnqueueMapBuffer(queue_.get(), memory.buffer(), CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                0, memory.size(), 0, nullptr, nullptr, &result));
    if (result == CL_MAP_FAILURE || result == CL_OUT_OF_RESOURCES)
        result = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    check(result, "clEnqueueMapBuffer");
    return memory;
}

void Gpu::write(const Memory &to, uint64_t offset, const void *data, uint64_t size) {
    if (size == 0) return;
    check(api_.clEnqueueWriteBuffer(queue_.get(), to.buffer(), CL_TRUE, offset, size, data, 0,
                                    nullptr, nullptr),
          "clEnqueueWriteBuffer");
}

void Gpu::read(const Memory &from, uint64_t offset, void *data, uint64_t size) {
    if (size == 0) return;
    check(api_.clEnqueueReadBuffer(queue_.get(), from.buffer(), CL_TRUE, offset, size, data, 0,
                                   nullptr, nullptr),
          "clEnqueueReadBuffer");
}

void Gpu::copy(const Memory &to, uint64_t to_offset, const Memory &from, uint64_t from_offset,
               uint64_t size) {
    if (size == 0) return;
    const bool overlap = to.buffer() == from.buffer() && to_offset < from_offset + size &&
                         from_offset < to_offset + size;
    if (overlap) { // not for clEnqueueCopyBuffer
        const Memory between = allocate(size);
        copy(between, 0, from, from_offset, size);
        copy(to, to_offset, between, 0, size);
        return;
    }
    queue_copy(to.buffer(), to_offset, from.buffer(), from_offset, size);
    finish();
}

void Gpu::zero(const Memory &memory) {
    const cl_uint zero = 0;
    check(api_.clEnqueueFillBuffer(queue_.get(), memory.buffer(), &zero, sizeof(zero), 0,
                                   memory.size(), 0, nullptr, nullptr),
          "clEnqueueFillBuffer");
    finish();
}

void Gpu::queue_write(cl_mem to, uint64_t offset, const void *data, uint64_t size) {
    check(api_.clEnqueueWriteBuffer(queue_.get(), to, CL_FALSE, offset, size, data, 0, nullptr,
                                    nullptr),
          "clEnqueueWriteBuffer");
}

Event Gpu::queue_read(cl_mem from, uint64_t offset, void *data, uint64_t size) {
    cl_event event = nullptr;
    check(api_.clEnqueueReadBuffer(queue_.get(), from, CL_FALSE, offset, size, data, 0, nullptr,
                                   &event),
          "clEnqueueReadBuffer");
    return Event(api_, event);
}

void Gpu::queue_copy(cl_mem to, uint64_t to_offset, cl_mem from, uint64_t from_offset,
                     uint64_t size) {
    check(api_.clEnqueueCopyBuffer(queue_.get(), from, to, from_offset, to_offset, size, 0, nullptr,
                                   nullptr),
          "clEnqueueCopyBuffer");
}

void Gpu::enqueue(const Launch &launch, cl_event *event) {
    if (launch.call) return launch.call(queue_.get(), event);
    check(api_.clEnqueueNDRangeKernel(queue_.get(), launch.kernel.get(), 3, nullptr, launch.global,
                                      launch.local, 0, nullptr, event),
          "clEnqueueNDRangeKernel");
}

uint64_t Gpu::time(std::span<const Launch> launches) {
    using Clock = std::chrono::steady_clock;
    uint64_t best = UINT64_MAX;
    for (int run = 0; run < 3; ++run) { // the first one warms up
        finish();
        const auto begin = Clock::now();
        for (const Launch &launch : launches)
            enqueue(launch, nullptr);
        finish();
        const auto ns = std::chrono::nanoseconds(Clock::now() - begin).count();
        if (run) best = std::min(best, static_cast<uint64_t>(ns));
    }
    return best;
}

void Gpu::queue_launch(const Launch &launch) {
    cl_event event = nullptr;
    enqueue(launch, settings_.profile ? &event : nullptr);
    if (event) profile_.add(launch.name, Event(api_, event));
}

Event Gpu::queue_end(Event last) {
    if (!last) {
        cl_event event = nullptr;
        check(api_.clEnqueueMarkerWithWaitList(queue_.get(), 0, nullptr, &event),
              "clEnqueueMarkerWithWaitList");
        last = Event(api_, event);
    }
    check(api_.clFlush(queue_.get()), "clFlush");
    return last;
}

void Gpu::finish() { check(api_.clFinish(queue_.get()), "clFinish"); }

bool Gpu::done(const Event &event) const {
    cl_int status = CL_QUEUED;
    check(api_.clGetEventInfo(event.get(), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
                              &status, nullptr),
          "clGetEventInfo");
    if (status < 0) {
        const std::string text =
            "a kernel or a transfer failed (OpenCL error " + std::to_string(status) + ")";
        throw Failure(RZ_DEVICE_LOST, status, text);
    }
    return status == CL_COMPLETE;
}

void Gpu::wait(const Event &event, uint64_t timeout_ns) const {
    constexpr uint64_t kForGood = 1'000'000'000'000; // OpenCL has no waits with a limit
    if (timeout_ns >= kForGood) {
        const cl_event handle = event.get();
        check(api_.clWaitForEvents(1, &handle), "clWaitForEvents");
        return;
    }
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::nanoseconds(timeout_ns);
    while (!done(event) && Clock::now() < end)
        std::this_thread::sleep_for(std::chrono::microseconds(20));
}

void Gpu::count_submission() {
    const rz_code asked = fail_next_.exchange(RZ_OK);
    if (asked != RZ_OK) raise(asked, "the submission failed on purpose (x-realizar.fault/1)");
    if (++submissions_ == settings_.fail_submission)
        raise(RZ_DEVICE_LOST, "submission %llu failed on purpose (REALIZAR_OPENCL_FAIL)",
              wide(submissions_));
}

} // namespace realizar::opencl
