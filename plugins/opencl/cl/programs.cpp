#include "plugins/opencl/cl/programs.h"

#include "plugins/opencl/cl/cache.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace realizar::opencl {

namespace {

std::string_view find_source(std::string_view name) {
    for (const Source &source : all_sources())
        if (source.name == name) return {reinterpret_cast<const char *>(source.text), source.size};
    raise(RZ_INTERNAL, "there is no kernel source %.*s", static_cast<int>(name.size()),
          name.data());
}

// Conditional includes stay conditional: a guard around each copy makes it count once.
void expand(std::string_view name, int depth, std::string &out) {
    constexpr std::string_view kInclude = "#include \"";
    constexpr int kDeepest = 8;
    if (depth > kDeepest) raise(RZ_INTERNAL, "the kernel sources include each other in a circle");
    std::string guard(name);
    std::replace_if(
        guard.begin(), guard.end(), [](char c) { return c == '/' || c == '.'; }, '_');
    out += "#ifndef INCLUDED_" + guard + "\n#define INCLUDED_" + guard + "\n";
    std::string_view rest = find_source(name);
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end);
        if (line.starts_with(kInclude))
            expand(line.substr(kInclude.size(), line.rfind('"') - kInclude.size()), depth + 1, out);
        else
            out += line;
    }
    out += "#endif\n";
}

} // namespace

std::string expand_source(std::string_view name) {
    std::string out;
    expand(name, 0, out);
    return out;
}

Programs::Programs(Gpu &gpu) : gpu_(gpu) {
    common_options_ = " -w"; // some drivers print their warnings
    if (gpu.features().ptx)
        common_options_ += " -DUSE_PTX";
    else if (gpu.features().dot)
        common_options_ += " -DUSE_DOT -cl-std=CL3.0";
}

Kernel Programs::kernel(const std::string &name, const std::string &options) {
    const std::lock_guard lock(mutex_);
    Program &program = made_[name + " " + options];
    if (!program) program = make(name, options + common_options_);
    cl_int result = CL_SUCCESS;
    Kernel kernel(gpu_.api(), gpu_.api().clCreateKernel(program.get(), name.c_str(), &result));
    check(result, "clCreateKernel");
    return kernel;
}

void Programs::local_size(const Kernel &kernel, size_t (&out)[3]) const {
    check(gpu_.api().clGetKernelWorkGroupInfo(kernel.get(), gpu_.physical().handle,
                                              CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof(out), out,
                                              nullptr),
          "clGetKernelWorkGroupInfo");
}

Program Programs::make(const std::string &name, const std::string &options) {
    const std::string text = expand_source(name + ".cl");
    const Physical &physical = gpu_.physical();
    char key[96];
    std::snprintf(key, sizeof(key), "opencl-%s-%016llx-%016llx", name.c_str(),
                  wide(hash(text, hash(options))),
                  wide(hash(physical.name, hash(physical.driver))));
    if (Program cached = from_cache(key, options)) return cached;
    const char *source = text.c_str();
    const size_t size = text.size();
    cl_int result = CL_SUCCESS;
    Program program(gpu_.api(), gpu_.api().clCreateProgramWithSource(gpu_.context(), 1, &source,
                                                                     &size, &result));
    check(result, "clCreateProgramWithSource");
    build(program.get(), name, options);
    to_cache(key, program.get());
    return program;
}

void Programs::build(cl_program program, const std::string &name, const std::string &options) {
    const Api &api = gpu_.api();
    const cl_device_id device = gpu_.physical().handle;
    const cl_int result =
        api.clBuildProgram(program, 1, &device, options.c_str(), nullptr, nullptr);
    if (result == CL_SUCCESS) return;
    size_t size = 0;
    api.clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &size);
    std::string log(size, '\0');
    if (size)
        api.clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log.data(), nullptr);
    const std::string text = "opencl: " + name + ".cl" + options + ": " + log;
    gpu_.host().log(gpu_.host().self, RZ_LOG_ERROR, text.c_str());
    raise(RZ_INTERNAL, "the driver could not build %s.cl (%d): %.300s", name.c_str(), result,
          log.c_str());
}

// None where there is no entry, or one that is damaged or that the driver refuses.
Program Programs::from_cache(const std::string &key, const std::string &options) {
    const std::vector<unsigned char> entry = read_cache(gpu_.host(), key.c_str());
    if (entry.empty()) return {};
    const unsigned char *binary = entry.data();
    const size_t bytes = entry.size();
    const cl_device_id device = gpu_.physical().handle;
    cl_int status = CL_SUCCESS, result = CL_SUCCESS;
    Program program(gpu_.api(), gpu_.api().clCreateProgramWithBinary(
                                    gpu_.context(), 1, &device, &bytes, &binary, &status, &result));
    if (result != CL_SUCCESS || status != CL_SUCCESS) return {};
    if (gpu_.api().clBuildProgram(program.get(), 1, &device, options.c_str(), nullptr, nullptr) !=
        CL_SUCCESS)
        return {};
    return program;
}

void Programs::to_cache(const std::string &key, cl_program program) {
    const Api &api = gpu_.api();
    size_t size = 0;
    if (api.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, nullptr) !=
            CL_SUCCESS ||
        size == 0)
        return;
    std::vector<unsigned char> content(size);
    unsigned char *binary = content.data();
    if (api.clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binary), &binary, nullptr) !=
        CL_SUCCESS)
        return;
    write_cache(gpu_.host(), key.c_str(), {reinterpret_cast<const char *>(binary), size});
}

} // namespace realizar::opencl
