// Kernels, built from the sources in kernels/ when first asked for and kept; binaries go to the host's
// cache.
#pragma once

#include "plugins/opencl/cl/gpu.h"

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace realizar::opencl {

// A file of kernels/, embedded by CMakeLists.txt.
struct Source {
    const char *name; // relative to kernels/
    const unsigned char *text;
    size_t size;
};
std::span<const Source> all_sources();

// The file with its includes in place. Throws RZ_INTERNAL for an unknown name.
std::string expand_source(std::string_view name);

class Programs {
  public:
    explicit Programs(Gpu &gpu);

    // [any-thread] A new kernel object of NAME.cl, whose one kernel is called NAME, built with
    // `options` ("-DTYPE_Q4_K -DCOLUMNS=1").
    Kernel kernel(const std::string &name, const std::string &options);
    // Threads of its workgroups: its reqd_work_group_size.
    void local_size(const Kernel &kernel, size_t (&out)[3]) const;

  private:
    Program make(const std::string &name, const std::string &options);
    Program from_cache(const std::string &key, const std::string &options);
    void to_cache(const std::string &key, cl_program program);
    void build(cl_program program, const std::string &name, const std::string &options);

    Gpu &gpu_;
    std::string common_options_; // what the device's features ask for
    std::mutex mutex_;
    std::map<std::string, Program> made_;
};

} // namespace realizar::opencl
