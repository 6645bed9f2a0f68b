// Where the time of submissions goes, kernel by kernel (REALIZAR_OPENCL_PROFILE).
#pragma once

#include "plugins/opencl/cl/failure.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace realizar::opencl {

class Profile {
  public:
    // [any-thread] Notes a launch; its times are read by collect().
    void add(const char *name, Event event);
    // When the device has finished: adds the times of all launches noted since the last call.
    void collect(const Api &api);
    // One line for each kernel.
    std::vector<std::string> report() const;

  private:
    struct Sum {
        uint64_t count = 0, ns = 0;
    };
    mutable std::mutex mutex_;
    std::vector<std::pair<const char *, Event>> noted_;
    std::map<std::string, Sum> sums_;
    uint64_t gaps_ns_ = 0; // between the kernels of a submission
};

} // namespace realizar::opencl
