// What was measured of products on a device, own kernels beside CLBlast: kept in memory and in the host's
// cache, where it counts for the same device, driver, version of CLBlast and own kernel.
#pragma once

#include "plugins/opencl/cl/gpu.h"

#include <map>

namespace realizar::opencl {

struct Times {
    uint64_t own, clblast; // ns; UINT64_MAX: it failed

    // A tie goes to the kernel that needs no room.
    bool clblast_wins() const { return clblast < own - own / 20; }
};

class Choices {
  public:
    explicit Choices(Gpu &gpu);

    // [any-thread] `product` says what was multiplied: "-DTYPE_Q4_K 4096 4096 128".
    std::optional<Times> find(const std::string &product);
    void keep(const std::string &product, const Times &times);

  private:
    std::string key(const std::string &product) const;

    Gpu &gpu_;
    uint64_t where_; // device, driver, CLBlast, slices and own kernel
    std::mutex mutex_;
    std::map<std::string, Times> known_;
};

} // namespace realizar::opencl
