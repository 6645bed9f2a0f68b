#include "plugins/opencl/cl/profile.h"

#include <cstdio>

namespace realizar::opencl {

void Profile::add(const char *name, Event event) {
    const std::lock_guard lock(mutex_);
    noted_.emplace_back(name, std::move(event));
}

void Profile::collect(const Api &api) {
    const std::lock_guard lock(mutex_);
    cl_ulong last = 0;
    for (const auto &[name, event] : noted_) {
        cl_ulong begin = 0, end = 0;
        const cl_event handle = event.get();
        api.clGetEventProfilingInfo(handle, CL_PROFILING_COMMAND_START, sizeof(begin), &begin,
                                    nullptr);
        api.clGetEventProfilingInfo(handle, CL_PROFILING_COMMAND_END, sizeof(end), &end, nullptr);
        Sum &sum = sums_[name];
        ++sum.count;
        sum.ns += end - begin;
        if (last && begin > last) gaps_ns_ += begin - last;
        last = end;
    }
    noted_.clear();
}

std::vector<std::string> Profile::report() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> lines = {"profile: launches, ms, us each"};
    char line[160];
    for (const auto &[name, sum] : sums_) {
        const auto ns = static_cast<double>(sum.ns);
        std::snprintf(line, sizeof(line), "%-24s %9llu %10.2f %9.2f", name.c_str(),
                      static_cast<unsigned long long>(sum.count), ns * 1e-6,
                      ns * 1e-3 / static_cast<double>(sum.count));
        lines.emplace_back(line);
    }
    std::snprintf(line, sizeof(line), "%-24s %20.2f", "(between kernels)",
                  static_cast<double>(gaps_ns_) * 1e-6);
    lines.emplace_back(line);
    return lines;
}

} // namespace realizar::opencl
